-- Where each entry stands on its way into a practice's record; see src/store/filing.rs.
-- `tried`, `messages` and `acknowledgements` are JSON lists of texts.
CREATE TABLE filing (
  seq              INTEGER PRIMARY KEY AUTOINCREMENT,
  id               BLOB    NOT NULL UNIQUE,
  version          INTEGER NOT NULL,
  episode          TEXT    NOT NULL,
  practice         TEXT    NOT NULL,
  event            TEXT    NOT NULL,
  kind             TEXT    NOT NULL,
  resource         TEXT    NOT NULL,
  resource_version INTEGER NOT NULL,
  state            TEXT    NOT NULL,
  route            TEXT    NOT NULL,
  tried            TEXT    NOT NULL,
  messages         TEXT    NOT NULL,
  acknowledgements TEXT    NOT NULL,
  since            INTEGER NOT NULL,
  deadline         INTEGER,
  look_at          INTEGER,
  overdue          INTEGER NOT NULL,
  why              TEXT    NOT NULL,
  read_back        TEXT    NOT NULL
);
CREATE INDEX filing_episode ON filing (episode, seq);
CREATE INDEX filing_state ON filing (practice, state, overdue);
CREATE INDEX filing_since ON filing (state, since);
CREATE INDEX filing_resource ON filing (resource, kind);
CREATE INDEX filing_look ON filing (look_at) WHERE look_at IS NOT NULL;

-- The ids that acknowledgements name.
CREATE TABLE filing_message (
  message TEXT PRIMARY KEY,
  filing  BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE dictionary (
  practice     TEXT    NOT NULL,
  system       TEXT    NOT NULL,
  code         TEXT    NOT NULL,
  kept         INTEGER NOT NULL,
  local_scheme TEXT    NOT NULL,
  local_code   TEXT    NOT NULL,
  seen_at      INTEGER NOT NULL,
  PRIMARY KEY (practice, system, code)
) WITHOUT ROWID;

-- Due queues are found by a few look-ups each, however many rows wait.
CREATE INDEX outbox_due ON outbox (queue, due) WHERE state = 0;

-- Rows from before filings were kept.
INSERT INTO filing (id, version, episode, practice, event, kind, resource, resource_version, state, route, tried,
    messages, acknowledgements, since, overdue, why, read_back)
  SELECT id, 1, episode, substr(queue, 11), event, json_extract(resources, '$[0][0]'),
    json_extract(resources, '$[0][1]'), json_extract(resources, '$[0][2]'),
    CASE state WHEN 0 THEN 'sent' WHEN 1 THEN 'filed' ELSE 'needs-person' END,
    'fhir', '[]', '[]', '[]', at, 0, why, ''
  FROM outbox WHERE queue LIKE 'writeback:%' AND json_array_length(resources) = 1 ORDER BY seq;
