-- A list of filings is read a page at a time in this order; a page is then a look-up, not a sort.
CREATE INDEX filing_order ON filing (since, seq);
