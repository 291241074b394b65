/** "CUTL". */
export const applicationId = 0x4355544c;
export const schemaVersion = 1;

/**
 * A part row is one writer's version of a part: `open` while it writes, `committed` once it can be read, `garbage` when
 * nothing leads to it any more and its chunks are being deleted, a few at a time.
 */
export const schema = `
PRAGMA application_id = ${applicationId};
PRAGMA user_version = ${schemaVersion};
CREATE TABLE lease (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  term INTEGER NOT NULL,
  holder TEXT NOT NULL,
  expires_at_ms REAL NOT NULL
) STRICT;
INSERT INTO lease VALUES (1, 0, '', 0);
CREATE TABLE snapshots (
  id TEXT PRIMARY KEY,
  position TEXT NOT NULL UNIQUE,
  idempotency_key TEXT UNIQUE,
  published INTEGER NOT NULL,
  document TEXT NOT NULL,
  sha256 TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE parts (
  version INTEGER PRIMARY KEY AUTOINCREMENT,
  snapshot TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  name TEXT NOT NULL,
  stage TEXT NOT NULL CHECK (stage IN ('open', 'committed', 'garbage')),
  chunks INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  content_type TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX parts_by_name ON parts (snapshot, name, stage) WHERE stage <> 'garbage';
CREATE INDEX parts_by_snapshot ON parts (snapshot, stage);
CREATE INDEX parts_garbage ON parts (version) WHERE stage = 'garbage';
CREATE TABLE chunks (
  version INTEGER NOT NULL,
  number INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (version, number)
) STRICT;
`;
