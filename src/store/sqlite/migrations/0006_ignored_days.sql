-- Ignored candidates are counted by day too: YYYY-MM-DD, UTC; empty for what was counted before.
CREATE TABLE ignored_by_day (
  practice TEXT    NOT NULL,
  day      TEXT    NOT NULL,
  reason   TEXT    NOT NULL,
  count    INTEGER NOT NULL,
  PRIMARY KEY (practice, day, reason)
) WITHOUT ROWID;
INSERT INTO ignored_by_day (practice, day, reason, count) SELECT practice, '', reason, count FROM ignored;
DROP TABLE ignored;
ALTER TABLE ignored_by_day RENAME TO ignored;
