-- Staging of extract rows; see src/store/staging.rs. Versions sort by bytes, not by a language.
CREATE TABLE staged_reference (
  kind smallint NOT NULL, scope text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL,
  version text COLLATE "C" NOT NULL, body text NOT NULL, origin text NOT NULL,
  PRIMARY KEY (kind, scope, key)
);

CREATE TABLE staged_candidate (
  organisation text COLLATE "C" NOT NULL, observation text COLLATE "C" NOT NULL,
  feed text NOT NULL, since bigint NOT NULL,
  state smallint NOT NULL, dirty boolean NOT NULL, touched bigint NOT NULL DEFAULT 0,
  deleted boolean NOT NULL DEFAULT false,
  obs_version text COLLATE "C" NOT NULL DEFAULT '', obs_body text NOT NULL DEFAULT '', obs_origin text NOT NULL DEFAULT '',
  ref_version text COLLATE "C" NOT NULL DEFAULT '', ref_body text NOT NULL DEFAULT '', ref_origin text NOT NULL DEFAULT '',
  patient text COLLATE "C" NOT NULL DEFAULT '', code text COLLATE "C" NOT NULL DEFAULT '',
  clinician text COLLATE "C" NOT NULL DEFAULT '', target text COLLATE "C" NOT NULL DEFAULT '',
  PRIMARY KEY (organisation, observation)
);
CREATE INDEX staged_candidate_dirty ON staged_candidate (organisation, observation) WHERE dirty;
CREATE INDEX staged_candidate_patient ON staged_candidate (organisation, patient) WHERE patient <> '';
CREATE INDEX staged_candidate_open ON staged_candidate (code) WHERE state IN (0, 1, 2);

CREATE TABLE staged_parked (
  position bigserial PRIMARY KEY, hold text NOT NULL, name text NOT NULL,
  version text NOT NULL, feed text NOT NULL, origin text NOT NULL, body text NOT NULL,
  UNIQUE (hold, name, version, origin)
);

CREATE TABLE staged_batch (feed text NOT NULL, first bigint NOT NULL, last bigint NOT NULL, PRIMARY KEY (feed, first, last));
CREATE TABLE staged_turn (one integer PRIMARY KEY CHECK (one = 1), holder text NOT NULL, until bigint NOT NULL);
