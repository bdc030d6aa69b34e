-- The shared store's base schema. `entry` columns hold the audit tree's size just after the row's
-- commit: a log that is shorter has lost its tail. Texts that are compared with "<" are in
-- collation "C", so that every server sorts them alike.

CREATE TABLE kind (
  id   integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  name text NOT NULL UNIQUE
);

-- One row a resource. `key` is creation order. `rows` is its current index rows, packed, so that
-- the next version removes exactly those.
CREATE SEQUENCE resource_key;
CREATE TABLE resource (
  key     bigint      PRIMARY KEY,
  kind    integer     NOT NULL,
  id      text        NOT NULL,
  version integer     NOT NULL,
  at      timestamptz NOT NULL,
  deleted boolean     NOT NULL,
  rows    text        NOT NULL
);
CREATE UNIQUE INDEX resource_name ON resource (id, kind);
CREATE INDEX resource_live ON resource (kind, key) WHERE NOT deleted;

CREATE TABLE resource_version (
  resource bigint      NOT NULL,
  version  integer     NOT NULL,
  at       timestamptz NOT NULL,
  deleted  boolean     NOT NULL,
  body     bytea       NOT NULL,
  lineage  text        NOT NULL,
  entry    bigint      NOT NULL,
  PRIMARY KEY (resource, version)
);
CREATE INDEX resource_version_entry ON resource_version (entry);

-- param = kind.id * 256 + the parameter's number.
CREATE TABLE search_row (
  param    integer NOT NULL,
  value    text    COLLATE "C" NOT NULL,
  resource bigint  NOT NULL,
  extra    text    COLLATE "C" NOT NULL
);
CREATE INDEX search_row_value ON search_row (param, value, resource) INCLUDE (extra);

CREATE TABLE door_key (
  scope   text NOT NULL,
  key     text NOT NULL,
  digest  text NOT NULL,
  expires timestamptz,
  PRIMARY KEY (scope, key)
);
CREATE INDEX door_key_expires ON door_key (expires) WHERE expires IS NOT NULL;

CREATE TABLE message (
  id           uuid        PRIMARY KEY,
  channel      text        NOT NULL,
  sender       text        NOT NULL,
  received_at  timestamptz NOT NULL,
  content_type text        NOT NULL,
  digest       text        NOT NULL,
  bytes        bytea       NOT NULL,
  outcome      text        NOT NULL,
  entry        bigint      NOT NULL
);
CREATE INDEX message_entry ON message (entry);

CREATE TABLE ledger (
  id          text        PRIMARY KEY,
  message     uuid        NOT NULL,
  practice    text,
  state       text        NOT NULL,
  since       timestamptz NOT NULL,
  waiting_on  text        NOT NULL,
  received_at timestamptz NOT NULL
);
CREATE INDEX ledger_count ON ledger (practice, state, received_at);

CREATE TABLE ignored (
  practice text   NOT NULL,
  reason   text   NOT NULL,
  count    bigint NOT NULL,
  PRIMARY KEY (practice, reason)
);

CREATE TABLE hold (
  seq         bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  id          uuid        NOT NULL UNIQUE,
  cause       text        NOT NULL,
  channel     text        NOT NULL,
  received_at timestamptz NOT NULL,
  source      text        NOT NULL,
  practice    text,
  detail      text        NOT NULL,
  count       bigint      NOT NULL,
  referral    text,
  replay      text        NOT NULL,
  released    boolean     NOT NULL
);
CREATE INDEX hold_open ON hold (received_at) WHERE NOT released;

CREATE TABLE episode (
  id         text    PRIMARY KEY,
  nhs_number text    NOT NULL,
  task       text    NOT NULL,
  pool       text    NOT NULL,
  open       boolean NOT NULL
);
-- One person has at most one open episode.
CREATE UNIQUE INDEX episode_person ON episode (nhs_number) WHERE open;
CREATE INDEX episode_pool ON episode (pool) WHERE open;

-- state: 0 queued (claimed while `due` is in the future and `lease` is set), 1 done, 2 given up.
CREATE TABLE outbox (
  seq       bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  id        uuid        NOT NULL UNIQUE,
  queue     text        COLLATE "C" NOT NULL,
  episode   text        NOT NULL,
  event     text        NOT NULL,
  resources text        NOT NULL,
  at        timestamptz NOT NULL,
  state     smallint    NOT NULL,
  due       timestamptz NOT NULL,
  attempts  integer     NOT NULL,
  lease     uuid,
  why       text        NOT NULL,
  entry     bigint      NOT NULL
);
CREATE INDEX outbox_queue ON outbox (queue, state, seq) WHERE state <> 1;
CREATE INDEX outbox_episode ON outbox (episode, queue, state, seq);

-- The audit log. `seq` is the position in the Merkle tree, from 0.
CREATE TABLE entry (
  seq         bigint      PRIMARY KEY,
  leaf        bytea       NOT NULL,
  hash        bytea       NOT NULL,
  id          uuid        NOT NULL,
  at          timestamptz NOT NULL,
  agent       text        NOT NULL,
  action      text        NOT NULL,
  outcome     text        NOT NULL,
  interaction text        NOT NULL
);
CREATE INDEX entry_id ON entry (id);
CREATE INDEX entry_at ON entry (at);
CREATE INDEX entry_agent ON entry (agent, seq);

-- role: 1 patient, 2 entity (without its version).
CREATE TABLE entry_reference (
  role      smallint NOT NULL,
  reference text     NOT NULL,
  seq       bigint   NOT NULL,
  PRIMARY KEY (role, reference, seq)
);

-- The tree's right edge: all that appending needs. Whoever appends holds this row's lock.
CREATE TABLE tree (
  one      integer PRIMARY KEY CHECK (one = 1),
  size     bigint  NOT NULL,
  frontier bytea   NOT NULL
);
INSERT INTO tree (one, size, frontier) VALUES (1, 0, '');

CREATE TABLE checkpoint (
  size bigint PRIMARY KEY,
  note text NOT NULL
);
