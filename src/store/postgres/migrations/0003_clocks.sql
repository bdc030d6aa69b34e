-- The time to first contact of each referral. `due` is when `step` falls due; NULL: nothing more
-- does. `round` counts the pools that it was with: a later round replaces an earlier one.
CREATE TABLE countdown (
  referral text        PRIMARY KEY,
  pool     text        NOT NULL,
  round    integer     NOT NULL,
  started  timestamptz NOT NULL,
  target   timestamptz NOT NULL,
  step     smallint    NOT NULL,
  due      timestamptz,
  stopped  timestamptz,
  why      text        NOT NULL
);
CREATE INDEX countdown_due ON countdown (due) WHERE due IS NOT NULL;

-- The link worker who has the person, where it is known; empty: not.
ALTER TABLE episode ADD COLUMN worker text NOT NULL DEFAULT '';
CREATE INDEX episode_of ON episode (nhs_number);
