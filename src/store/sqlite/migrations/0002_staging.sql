-- Staging of extract rows; see src/store/staging.rs.
CREATE TABLE staged_reference (
  kind INTEGER NOT NULL, scope TEXT NOT NULL, key TEXT NOT NULL,
  version TEXT NOT NULL, body TEXT NOT NULL, origin TEXT NOT NULL,
  PRIMARY KEY (kind, scope, key)
) WITHOUT ROWID;

CREATE TABLE staged_candidate (
  organisation TEXT NOT NULL, observation TEXT NOT NULL,
  feed TEXT NOT NULL, since INTEGER NOT NULL,
  state INTEGER NOT NULL, dirty INTEGER NOT NULL, touched INTEGER NOT NULL DEFAULT 0,
  deleted INTEGER NOT NULL DEFAULT 0,
  obs_version TEXT NOT NULL DEFAULT '', obs_body TEXT NOT NULL DEFAULT '', obs_origin TEXT NOT NULL DEFAULT '',
  ref_version TEXT NOT NULL DEFAULT '', ref_body TEXT NOT NULL DEFAULT '', ref_origin TEXT NOT NULL DEFAULT '',
  patient TEXT NOT NULL DEFAULT '', code TEXT NOT NULL DEFAULT '',
  clinician TEXT NOT NULL DEFAULT '', target TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (organisation, observation)
) WITHOUT ROWID;
CREATE INDEX staged_candidate_dirty ON staged_candidate (organisation, observation) WHERE dirty = 1;
CREATE INDEX staged_candidate_patient ON staged_candidate (organisation, patient) WHERE patient <> '';
CREATE INDEX staged_candidate_open ON staged_candidate (code) WHERE state IN (0, 1, 2);

CREATE TABLE staged_parked (
  position INTEGER PRIMARY KEY AUTOINCREMENT, hold TEXT NOT NULL, name TEXT NOT NULL,
  version TEXT NOT NULL, feed TEXT NOT NULL, origin TEXT NOT NULL, body TEXT NOT NULL,
  UNIQUE (hold, name, version, origin)
);

CREATE TABLE staged_batch (feed TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (feed, first, last)) WITHOUT ROWID;
CREATE TABLE staged_turn (one INTEGER PRIMARY KEY CHECK (one = 1), holder TEXT NOT NULL, until INTEGER NOT NULL);
