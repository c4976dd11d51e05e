-- What identifies a source besides its path, as a run has found it: of a folder the SHA-256 of the
-- paths and sizes of its files, of other sources that of their size and of samples of their bytes.
-- The last row of a source is the present one.
CREATE TABLE source_identities (
  id     INTEGER PRIMARY KEY,
  source INTEGER NOT NULL REFERENCES sources (id),
  sha256 TEXT NOT NULL,
  log    INTEGER NOT NULL REFERENCES log (sequence),
  digest TEXT NOT NULL
) STRICT;

-- Where a source was found later, at another path than the one at which it was added. The last row
-- of a source is its present path.
CREATE TABLE relocations (
  id     INTEGER PRIMARY KEY,
  source INTEGER NOT NULL REFERENCES sources (id),
  path   TEXT NOT NULL,
  log    INTEGER NOT NULL REFERENCES log (sequence),
  digest TEXT NOT NULL
) STRICT;

CREATE TRIGGER source_identities_keeps BEFORE UPDATE ON source_identities BEGIN SELECT RAISE(ABORT, 'source_identities is append-only'); END;
CREATE TRIGGER source_identities_holds BEFORE DELETE ON source_identities BEGIN SELECT RAISE(ABORT, 'source_identities is append-only'); END;
CREATE TRIGGER relocations_keeps BEFORE UPDATE ON relocations BEGIN SELECT RAISE(ABORT, 'relocations is append-only'); END;
CREATE TRIGGER relocations_holds BEFORE DELETE ON relocations BEGIN SELECT RAISE(ABORT, 'relocations is append-only'); END;

-- One path may have led to several sources, one after the other: it is not unique any more.
CREATE TABLE sources_of_any_path (
  id     INTEGER PRIMARY KEY,
  path   TEXT NOT NULL,
  kind   TEXT NOT NULL,
  log    INTEGER NOT NULL REFERENCES log (sequence),
  digest TEXT NOT NULL
) STRICT;
INSERT INTO sources_of_any_path SELECT id, path, kind, log, digest FROM sources;
DROP TABLE sources;
ALTER TABLE sources_of_any_path RENAME TO sources;
CREATE TRIGGER sources_keeps BEFORE UPDATE ON sources BEGIN SELECT RAISE(ABORT, 'sources is append-only'); END;
CREATE TRIGGER sources_holds BEFORE DELETE ON sources BEGIN SELECT RAISE(ABORT, 'sources is append-only'); END;
