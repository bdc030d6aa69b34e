-- The time to first contact of each referral. `due` is when `step` falls due; NULL: nothing more
-- does. `round` counts the pools that it was with: a later round replaces an earlier one.
CREATE TABLE countdown (
  referral TEXT    PRIMARY KEY,
  pool     TEXT    NOT NULL,
  round    INTEGER NOT NULL,
  started  INTEGER NOT NULL,
  target   INTEGER NOT NULL,
  step     INTEGER NOT NULL,
  due      INTEGER,
  stopped  INTEGER,
  why      TEXT    NOT NULL
) WITHOUT ROWID;
CREATE INDEX countdown_due ON countdown (due) WHERE due IS NOT NULL;

-- The link worker who has the person, where it is known; empty: not.
ALTER TABLE episode ADD COLUMN worker TEXT NOT NULL DEFAULT '';
CREATE INDEX episode_of ON episode (nhs_number);
