-- A case. Every table only ever grows: what changes in the world (a second hashing of a source, a
-- run that is finished again after a source was added) is a further row. `log` names the log entry
-- of the transaction that wrote a row, `digest` is the SHA-256 of the row (see database.py).
-- Times are ISO 8601 in UTC; hashes lower-case hex.

CREATE TABLE log (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  at       TEXT NOT NULL,
  operator TEXT NOT NULL,
  action   TEXT NOT NULL,
  detail   TEXT NOT NULL,
  previous TEXT NOT NULL,
  hash     TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE sources (
  id     INTEGER PRIMARY KEY,
  path   TEXT NOT NULL UNIQUE,
  kind   TEXT NOT NULL,
  log    INTEGER NOT NULL REFERENCES log (sequence),
  digest TEXT NOT NULL
) STRICT;

-- One row a reading of the whole source; the last is the present one.
CREATE TABLE source_hashes (
  id               INTEGER PRIMARY KEY,
  source           INTEGER NOT NULL REFERENCES sources (id),
  md5              TEXT NOT NULL,
  sha256           TEXT NOT NULL,
  size             INTEGER NOT NULL,
  began            TEXT NOT NULL,
  ended            TEXT NOT NULL,
  stored_hash      TEXT,
  matches          INTEGER CHECK (matches IN (0, 1)),
  accepted_damaged INTEGER NOT NULL CHECK (accepted_damaged IN (0, 1)),
  log              INTEGER NOT NULL REFERENCES log (sequence),
  digest           TEXT NOT NULL,
  CHECK ((stored_hash IS NULL) = (matches IS NULL))
) STRICT;
CREATE INDEX source_hashes_source ON source_hashes (source);

CREATE TABLE contents (
  id          INTEGER PRIMARY KEY,
  sha256      TEXT NOT NULL UNIQUE,
  md5         TEXT NOT NULL,
  sha1        TEXT NOT NULL,
  size        INTEGER NOT NULL,
  format      TEXT NOT NULL,
  width       INTEGER NOT NULL,
  height      INTEGER NOT NULL,
  pdq         BLOB CHECK (length(pdq) = 32),
  pdq_quality INTEGER,
  metadata    TEXT NOT NULL,
  thumbnail   TEXT,
  warnings    TEXT NOT NULL,
  log         INTEGER NOT NULL REFERENCES log (sequence),
  digest      TEXT NOT NULL,
  CHECK ((pdq IS NULL) = (pdq_quality IS NULL))
) STRICT;

CREATE TABLE items (
  id       INTEGER PRIMARY KEY,
  source   INTEGER NOT NULL REFERENCES sources (id),
  display  TEXT NOT NULL,
  location TEXT NOT NULL,
  size     INTEGER,
  created  TEXT,
  modified TEXT,
  accessed TEXT,
  changed  TEXT,
  deleted  INTEGER NOT NULL CHECK (deleted IN (0, 1)),
  outcome  TEXT NOT NULL CHECK (outcome IN ('content', 'failure', 'exclusion')),
  content  TEXT REFERENCES contents (sha256),
  log      INTEGER NOT NULL REFERENCES log (sequence),
  digest   TEXT NOT NULL,
  UNIQUE (source, location),
  CHECK ((outcome = 'content') = (content IS NOT NULL))
) STRICT;
CREATE INDEX items_content ON items (content);

CREATE TABLE exclusions (
  id     INTEGER PRIMARY KEY,
  item   INTEGER NOT NULL UNIQUE REFERENCES items (id),
  rule   TEXT NOT NULL,
  reason TEXT NOT NULL,
  log    INTEGER NOT NULL REFERENCES log (sequence),
  digest TEXT NOT NULL
) STRICT;

-- A run is all that one engine said; a changed engine is another run.
CREATE TABLE runs (
  id          INTEGER PRIMARY KEY,
  fingerprint TEXT NOT NULL UNIQUE,
  engine      TEXT NOT NULL,
  started     TEXT NOT NULL,
  log         INTEGER NOT NULL REFERENCES log (sequence),
  digest      TEXT NOT NULL
) STRICT;

-- A run is finished for the contents up to last_content; what is added later finishes it anew.
CREATE TABLE finishes (
  id           INTEGER PRIMARY KEY,
  run          INTEGER NOT NULL REFERENCES runs (id),
  finished     TEXT NOT NULL,
  last_content INTEGER NOT NULL,
  log          INTEGER NOT NULL REFERENCES log (sequence),
  digest       TEXT NOT NULL,
  UNIQUE (run, last_content)
) STRICT;

CREATE TABLE predictions (
  id         INTEGER PRIMARY KEY,
  run        INTEGER NOT NULL REFERENCES runs (id),
  content    TEXT NOT NULL REFERENCES contents (sha256),
  score_0    REAL NOT NULL CHECK (score_0 BETWEEN 0 AND 1),
  score_1    REAL NOT NULL CHECK (score_1 BETWEEN 0 AND 1),
  score_2    REAL NOT NULL CHECK (score_2 BETWEEN 0 AND 1),
  score_3    REAL NOT NULL CHECK (score_3 BETWEEN 0 AND 1),
  off_label  REAL NOT NULL,
  calibrated INTEGER NOT NULL CHECK (calibrated IN (0, 1)),
  log        INTEGER NOT NULL REFERENCES log (sequence),
  digest     TEXT NOT NULL,
  UNIQUE (run, content)
) STRICT;

-- Of an item that gave no content, or of a content that a run could not classify.
CREATE TABLE failures (
  id      INTEGER PRIMARY KEY,
  item    INTEGER UNIQUE REFERENCES items (id),
  run     INTEGER REFERENCES runs (id),
  content TEXT REFERENCES contents (sha256),
  stage   TEXT NOT NULL,
  error   TEXT NOT NULL,
  message TEXT NOT NULL,
  log     INTEGER NOT NULL REFERENCES log (sequence),
  digest  TEXT NOT NULL,
  UNIQUE (run, content),
  CHECK ((item IS NULL) = (run IS NOT NULL) AND (run IS NULL) = (content IS NULL))
) STRICT;

-- A grouping is a whole answer to "which contents are near-duplicates"; the last is the present one.
CREATE TABLE groupings (
  id       INTEGER PRIMARY KEY,
  distance INTEGER NOT NULL,
  log      INTEGER NOT NULL REFERENCES log (sequence),
  digest   TEXT NOT NULL
) STRICT;

CREATE TABLE group_members (
  id       INTEGER PRIMARY KEY,
  grouping INTEGER NOT NULL REFERENCES groupings (id),
  number   INTEGER NOT NULL,
  content  TEXT NOT NULL REFERENCES contents (sha256),
  log      INTEGER NOT NULL REFERENCES log (sequence),
  digest   TEXT NOT NULL,
  UNIQUE (grouping, content)
) STRICT;

CREATE TRIGGER log_keeps BEFORE UPDATE ON log BEGIN SELECT RAISE(ABORT, 'log is append-only'); END;
CREATE TRIGGER log_holds BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'log is append-only'); END;
CREATE TRIGGER sources_keeps BEFORE UPDATE ON sources BEGIN SELECT RAISE(ABORT, 'sources is append-only'); END;
CREATE TRIGGER sources_holds BEFORE DELETE ON sources BEGIN SELECT RAISE(ABORT, 'sources is append-only'); END;
CREATE TRIGGER source_hashes_keeps BEFORE UPDATE ON source_hashes BEGIN SELECT RAISE(ABORT, 'source_hashes is append-only'); END;
CREATE TRIGGER source_hashes_holds BEFORE DELETE ON source_hashes BEGIN SELECT RAISE(ABORT, 'source_hashes is append-only'); END;
CREATE TRIGGER contents_keeps BEFORE UPDATE ON contents BEGIN SELECT RAISE(ABORT, 'contents is append-only'); END;
CREATE TRIGGER contents_holds BEFORE DELETE ON contents BEGIN SELECT RAISE(ABORT, 'contents is append-only'); END;
CREATE TRIGGER items_keeps BEFORE UPDATE ON items BEGIN SELECT RAISE(ABORT, 'items is append-only'); END;
CREATE TRIGGER items_holds BEFORE DELETE ON items BEGIN SELECT RAISE(ABORT, 'items is append-only'); END;
CREATE TRIGGER exclusions_keeps BEFORE UPDATE ON exclusions BEGIN SELECT RAISE(ABORT, 'exclusions is append-only'); END;
CREATE TRIGGER exclusions_holds BEFORE DELETE ON exclusions BEGIN SELECT RAISE(ABORT, 'exclusions is append-only'); END;
CREATE TRIGGER runs_keeps BEFORE UPDATE ON runs BEGIN SELECT RAISE(ABORT, 'runs is append-only'); END;
CREATE TRIGGER runs_holds BEFORE DELETE ON runs BEGIN SELECT RAISE(ABORT, 'runs is append-only'); END;
CREATE TRIGGER finishes_keeps BEFORE UPDATE ON finishes BEGIN SELECT RAISE(ABORT, 'finishes is append-only'); END;
CREATE TRIGGER finishes_holds BEFORE DELETE ON finishes BEGIN SELECT RAISE(ABORT, 'finishes is append-only'); END;
CREATE TRIGGER predictions_keeps BEFORE UPDATE ON predictions BEGIN SELECT RAISE(ABORT, 'predictions is append-only'); END;
CREATE TRIGGER predictions_holds BEFORE DELETE ON predictions BEGIN SELECT RAISE(ABORT, 'predictions is append-only'); END;
CREATE TRIGGER failures_keeps BEFORE UPDATE ON failures BEGIN SELECT RAISE(ABORT, 'failures is append-only'); END;
CREATE TRIGGER failures_holds BEFORE DELETE ON failures BEGIN SELECT RAISE(ABORT, 'failures is append-only'); END;
CREATE TRIGGER groupings_keeps BEFORE UPDATE ON groupings BEGIN SELECT RAISE(ABORT, 'groupings is append-only'); END;
CREATE TRIGGER groupings_holds BEFORE DELETE ON groupings BEGIN SELECT RAISE(ABORT, 'groupings is append-only'); END;
CREATE TRIGGER group_members_keeps BEFORE UPDATE ON group_members BEGIN SELECT RAISE(ABORT, 'group_members is append-only'); END;
CREATE TRIGGER group_members_holds BEFORE DELETE ON group_members BEGIN SELECT RAISE(ABORT, 'group_members is append-only'); END;
