-- The embedded store's base schema. Instants are microseconds since 1970, UTC.
-- `entry` columns hold the audit tree's size just after the row's commit: a log that is shorter
-- has lost its tail.

CREATE TABLE kind (
  id   INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
);

-- One row a resource. `key` is creation order. `rows` is its current index rows, packed, so that
-- the next version removes exactly those.
CREATE TABLE resource (
  key     INTEGER PRIMARY KEY AUTOINCREMENT,
  kind    INTEGER NOT NULL,
  id      TEXT    NOT NULL,
  version INTEGER NOT NULL,
  at      INTEGER NOT NULL,
  deleted INTEGER NOT NULL,
  rows    TEXT    NOT NULL
);
CREATE UNIQUE INDEX resource_name ON resource (id, kind);
CREATE INDEX resource_live ON resource (kind) WHERE deleted = 0;

-- Every version with its body. key = resource.key * 1000000 + version: one resource's versions
-- lie side by side, and need no index of their own.
CREATE TABLE resource_version (
  key     INTEGER PRIMARY KEY,
  at      INTEGER NOT NULL,
  deleted INTEGER NOT NULL,
  body    BLOB    NOT NULL,
  lineage TEXT    NOT NULL,
  entry   INTEGER NOT NULL
);
CREATE INDEX resource_version_entry ON resource_version (entry);

-- param = kind.id * 256 + the parameter's number.
CREATE TABLE search_row (
  param    INTEGER NOT NULL,
  value    TEXT    NOT NULL,
  resource INTEGER NOT NULL,
  extra    TEXT    NOT NULL,
  PRIMARY KEY (param, value, resource, extra)
) WITHOUT ROWID;

CREATE TABLE door_key (
  scope   TEXT NOT NULL,
  key     TEXT NOT NULL,
  digest  TEXT NOT NULL,
  expires INTEGER,
  PRIMARY KEY (scope, key)
) WITHOUT ROWID;
CREATE INDEX door_key_expires ON door_key (expires) WHERE expires IS NOT NULL;

CREATE TABLE message (
  id           BLOB    NOT NULL UNIQUE,
  channel      TEXT    NOT NULL,
  sender       TEXT    NOT NULL,
  received_at  INTEGER NOT NULL,
  content_type TEXT    NOT NULL,
  digest       TEXT    NOT NULL,
  bytes        BLOB    NOT NULL,
  outcome      TEXT    NOT NULL,
  entry        INTEGER NOT NULL
);
CREATE INDEX message_entry ON message (entry);

CREATE TABLE ledger (
  id          TEXT    NOT NULL UNIQUE,
  message     BLOB    NOT NULL,
  practice    TEXT,
  state       TEXT    NOT NULL,
  since       INTEGER NOT NULL,
  waiting_on  TEXT    NOT NULL,
  received_at INTEGER NOT NULL
);
CREATE INDEX ledger_count ON ledger (practice, state, received_at);

CREATE TABLE ignored (
  practice TEXT    NOT NULL,
  reason   TEXT    NOT NULL,
  count    INTEGER NOT NULL,
  PRIMARY KEY (practice, reason)
) WITHOUT ROWID;

CREATE TABLE hold (
  seq         INTEGER PRIMARY KEY AUTOINCREMENT,
  id          BLOB    NOT NULL UNIQUE,
  cause       TEXT    NOT NULL,
  channel     TEXT    NOT NULL,
  received_at INTEGER NOT NULL,
  source      TEXT    NOT NULL,
  practice    TEXT,
  detail      TEXT    NOT NULL,
  count       INTEGER NOT NULL,
  referral    TEXT,
  replay      TEXT    NOT NULL,
  released    INTEGER NOT NULL
);
CREATE INDEX hold_open ON hold (received_at) WHERE released = 0;

CREATE TABLE episode (
  id         TEXT    NOT NULL UNIQUE,
  nhs_number TEXT    NOT NULL,
  task       TEXT    NOT NULL,
  pool       TEXT    NOT NULL,
  open       INTEGER NOT NULL
);
-- One person has at most one open episode.
CREATE UNIQUE INDEX episode_person ON episode (nhs_number) WHERE open = 1;
CREATE INDEX episode_pool ON episode (pool) WHERE open = 1;

-- state: 0 queued (claimed while `due` is in the future and `lease` is set), 1 done, 2 given up.
CREATE TABLE outbox (
  seq       INTEGER PRIMARY KEY AUTOINCREMENT,
  id        BLOB    NOT NULL UNIQUE,
  queue     TEXT    NOT NULL,
  episode   TEXT    NOT NULL,
  event     TEXT    NOT NULL,
  resources TEXT    NOT NULL,
  at        INTEGER NOT NULL,
  state     INTEGER NOT NULL,
  due       INTEGER NOT NULL,
  attempts  INTEGER NOT NULL,
  lease     BLOB,
  why       TEXT    NOT NULL,
  entry     INTEGER NOT NULL
);
CREATE INDEX outbox_queue ON outbox (queue, state, seq) WHERE state <> 1;
CREATE INDEX outbox_episode ON outbox (episode, queue, state, seq);

-- The audit log. `seq` is the position in the Merkle tree, from 0.
CREATE TABLE entry (
  seq         INTEGER PRIMARY KEY,
  leaf        BLOB    NOT NULL,
  hash        BLOB    NOT NULL,
  id          BLOB    NOT NULL,
  at          INTEGER NOT NULL,
  agent       TEXT    NOT NULL,
  action      TEXT    NOT NULL,
  outcome     TEXT    NOT NULL,
  interaction TEXT    NOT NULL
);
CREATE INDEX entry_id ON entry (id);
CREATE INDEX entry_at ON entry (at);
CREATE INDEX entry_agent ON entry (agent);

-- role: 1 patient, 2 entity (without its version).
CREATE TABLE entry_reference (
  role      INTEGER NOT NULL,
  reference TEXT    NOT NULL,
  seq       INTEGER NOT NULL,
  PRIMARY KEY (role, reference, seq)
) WITHOUT ROWID;

-- The tree's right edge: all that appending needs.
CREATE TABLE tree (
  one      INTEGER PRIMARY KEY CHECK (one = 1),
  size     INTEGER NOT NULL,
  frontier BLOB    NOT NULL
);
INSERT INTO tree (one, size, frontier) VALUES (1, 0, x'');

CREATE TABLE checkpoint (
  size INTEGER PRIMARY KEY,
  note TEXT NOT NULL
);
