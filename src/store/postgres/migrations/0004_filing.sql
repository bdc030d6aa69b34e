-- Where each entry stands on its way into a practice's record; see src/store/filing.rs.
-- `tried`, `messages` and `acknowledgements` are JSON lists of texts.
CREATE TABLE filing (
  seq              bigint  PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  id               uuid    NOT NULL UNIQUE,
  version          integer NOT NULL,
  episode          text    NOT NULL,
  practice         text    NOT NULL,
  event            text    NOT NULL,
  kind             text    NOT NULL,
  resource         text    NOT NULL,
  resource_version integer NOT NULL,
  state            text    NOT NULL,
  route            text    NOT NULL,
  tried            text    NOT NULL,
  messages         text    NOT NULL,
  acknowledgements text    NOT NULL,
  since            timestamptz NOT NULL,
  deadline         timestamptz,
  look_at          timestamptz,
  overdue          boolean NOT NULL,
  why              text    NOT NULL,
  read_back        text    NOT NULL
);
CREATE INDEX filing_episode ON filing (episode, seq);
CREATE INDEX filing_state ON filing (practice, state, overdue);
CREATE INDEX filing_since ON filing (state, since);
CREATE INDEX filing_resource ON filing (resource, kind);
CREATE INDEX filing_look ON filing (look_at) WHERE look_at IS NOT NULL;

-- The ids that acknowledgements name.
CREATE TABLE filing_message (
  message text PRIMARY KEY,
  filing  uuid NOT NULL
);

CREATE TABLE dictionary (
  practice     text    NOT NULL,
  system       text    NOT NULL,
  code         text    NOT NULL,
  kept         boolean NOT NULL,
  local_scheme text    NOT NULL,
  local_code   text    NOT NULL,
  seen_at      timestamptz NOT NULL,
  PRIMARY KEY (practice, system, code)
);

-- Due queues are found by a few look-ups each, however many rows wait.
CREATE INDEX outbox_due ON outbox (queue, due) WHERE state = 0;

-- Rows from before filings were kept.
INSERT INTO filing (id, version, episode, practice, event, kind, resource, resource_version, state, route, tried,
    messages, acknowledgements, since, overdue, why, read_back)
  SELECT id, 1, episode, substr(queue, 11), event, resources::json->0->>0,
    resources::json->0->>1, (resources::json->0->>2)::integer,
    CASE state WHEN 0 THEN 'sent' WHEN 1 THEN 'filed' ELSE 'needs-person' END,
    'fhir', '[]', '[]', '[]', at, false, why, ''
  FROM outbox WHERE queue LIKE 'writeback:%' AND json_array_length(resources::json) = 1 ORDER BY seq;
