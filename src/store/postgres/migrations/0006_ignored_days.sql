-- Ignored candidates are counted by day too: YYYY-MM-DD, UTC; empty for what was counted before.
ALTER TABLE ignored ADD COLUMN day text NOT NULL DEFAULT '';
ALTER TABLE ignored ALTER COLUMN day DROP DEFAULT;
ALTER TABLE ignored DROP CONSTRAINT ignored_pkey;
ALTER TABLE ignored ADD PRIMARY KEY (practice, day, reason);
