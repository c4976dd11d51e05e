-- What people decide. One act of a reviewer (`action`) decides some contents at once, or withdraws
-- an earlier act of the same reviewer (`undoes`): then each row says which content it withdraws a
-- verdict of, and holds none itself. Acts are numbered in the order in which they came in.
CREATE TABLE decisions (
  id       INTEGER PRIMARY KEY,
  action   INTEGER NOT NULL,
  reviewer TEXT NOT NULL,
  at       TEXT NOT NULL,
  content  TEXT NOT NULL REFERENCES contents (sha256),
  verdict  INTEGER CHECK (verdict BETWEEN 0 AND 3),
  undoes   INTEGER CHECK (undoes < action),
  sample   INTEGER REFERENCES samples (id),
  log      INTEGER NOT NULL REFERENCES log (sequence),
  digest   TEXT NOT NULL,
  UNIQUE (action, content),
  CHECK ((verdict IS NULL) = (undoes IS NOT NULL))
) STRICT;
CREATE INDEX decisions_content ON decisions (content, reviewer);
CREATE INDEX decisions_reviewer ON decisions (reviewer, action);
-- Nothing is withdrawn twice.
CREATE UNIQUE INDEX decisions_undoes ON decisions (undoes, content) WHERE undoes IS NOT NULL;
CREATE INDEX decisions_sample ON decisions (sample, content) WHERE sample IS NOT NULL;

-- The present verdict of each reviewer of a content: the last that is not withdrawn.
CREATE VIEW verdicts AS
SELECT d.content, d.reviewer, d.verdict, d.at, d.id AS decision FROM decisions d
WHERE d.verdict IS NOT NULL
AND NOT EXISTS (SELECT 1 FROM decisions WHERE undoes = d.action AND content = d.content)
AND NOT EXISTS (
  SELECT 1 FROM decisions n
  WHERE n.content = d.content AND n.reviewer = d.reviewer AND n.id > d.id AND n.verdict IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM decisions WHERE undoes = n.action AND content = n.content)
);

-- A blind sample of what a run called irrelevant and nobody had decided, `population` contents.
CREATE TABLE samples (
  id         INTEGER PRIMARY KEY,
  run        INTEGER NOT NULL REFERENCES runs (id),
  size       INTEGER NOT NULL CHECK (size BETWEEN 1 AND population),
  seed       INTEGER NOT NULL,
  population INTEGER NOT NULL,
  reviewer   TEXT NOT NULL,
  drawn      TEXT NOT NULL,
  log        INTEGER NOT NULL REFERENCES log (sequence),
  digest     TEXT NOT NULL
) STRICT;

-- In the order in which they were drawn.
CREATE TABLE sample_items (
  id      INTEGER PRIMARY KEY,
  sample  INTEGER NOT NULL REFERENCES samples (id),
  content TEXT NOT NULL REFERENCES contents (sha256),
  log     INTEGER NOT NULL REFERENCES log (sequence),
  digest  TEXT NOT NULL,
  UNIQUE (sample, content)
) STRICT;

CREATE TRIGGER decisions_keeps BEFORE UPDATE ON decisions BEGIN SELECT RAISE(ABORT, 'decisions is append-only'); END;
CREATE TRIGGER decisions_holds BEFORE DELETE ON decisions BEGIN SELECT RAISE(ABORT, 'decisions is append-only'); END;
CREATE TRIGGER samples_keeps BEFORE UPDATE ON samples BEGIN SELECT RAISE(ABORT, 'samples is append-only'); END;
CREATE TRIGGER samples_holds BEFORE DELETE ON samples BEGIN SELECT RAISE(ABORT, 'samples is append-only'); END;
CREATE TRIGGER sample_items_keeps BEFORE UPDATE ON sample_items BEGIN SELECT RAISE(ABORT, 'sample_items is append-only'); END;
CREATE TRIGGER sample_items_holds BEFORE DELETE ON sample_items BEGIN SELECT RAISE(ABORT, 'sample_items is append-only'); END;
