-- What is thought of an item later: an exclusion that was lifted, a file that could be read at the
-- second try. The last revision of an item is its present outcome; a content is never given up.
CREATE TABLE revisions (
  id      INTEGER PRIMARY KEY,
  item    INTEGER NOT NULL REFERENCES items (id),
  outcome TEXT NOT NULL CHECK (outcome IN ('content', 'failure', 'exclusion')),
  content TEXT REFERENCES contents (sha256),
  rule    TEXT,
  reason  TEXT,
  stage   TEXT,
  error   TEXT,
  message TEXT,
  log     INTEGER NOT NULL REFERENCES log (sequence),
  digest  TEXT NOT NULL,
  CHECK ((outcome = 'content') = (content IS NOT NULL)),
  CHECK ((outcome = 'exclusion') = (rule IS NOT NULL) AND (rule IS NULL) = (reason IS NULL)),
  CHECK ((outcome = 'failure') = (error IS NOT NULL)
    AND (error IS NULL) = (stage IS NULL) AND (error IS NULL) = (message IS NULL))
) STRICT;
CREATE INDEX revisions_item ON revisions (item);
CREATE INDEX revisions_content ON revisions (content);

-- Every item with its present outcome and what stands for it.
CREATE VIEW present AS
SELECT
  i.id, i.source, i.display, i.location, i.size, i.created, i.modified, i.accessed, i.changed,
  i.deleted,
  coalesce(r.outcome, i.outcome) AS outcome,
  iif(r.id IS NULL, i.content, r.content) AS content,
  iif(r.id IS NULL, x.rule, r.rule) AS rule,
  iif(r.id IS NULL, x.reason, r.reason) AS reason,
  iif(r.id IS NULL, f.stage, r.stage) AS stage,
  iif(r.id IS NULL, f.error, r.error) AS error,
  iif(r.id IS NULL, f.message, r.message) AS message
FROM items i
LEFT JOIN revisions r ON r.id = (SELECT max(id) FROM revisions WHERE item = i.id)
LEFT JOIN exclusions x ON x.item = i.id
LEFT JOIN failures f ON f.item = i.id;

-- Every place at which a content lies.
CREATE VIEW places AS
SELECT id AS item, content FROM items WHERE content IS NOT NULL
UNION ALL
SELECT item, content FROM revisions WHERE content IS NOT NULL;

-- A content that stands in a list of known files.
CREATE TABLE alerts (
  id          INTEGER PRIMARY KEY,
  content     TEXT NOT NULL REFERENCES contents (sha256),
  list        TEXT NOT NULL,
  list_digest TEXT NOT NULL,
  kind        TEXT NOT NULL CHECK (kind IN ('md5', 'sha1', 'sha256')),
  log         INTEGER NOT NULL REFERENCES log (sequence),
  digest      TEXT NOT NULL,
  UNIQUE (content, list_digest)
) STRICT;

CREATE TRIGGER revisions_keeps BEFORE UPDATE ON revisions BEGIN SELECT RAISE(ABORT, 'revisions is append-only'); END;
CREATE TRIGGER revisions_holds BEFORE DELETE ON revisions BEGIN SELECT RAISE(ABORT, 'revisions is append-only'); END;
CREATE TRIGGER alerts_keeps BEFORE UPDATE ON alerts BEGIN SELECT RAISE(ABORT, 'alerts is append-only'); END;
CREATE TRIGGER alerts_holds BEFORE DELETE ON alerts BEGIN SELECT RAISE(ABORT, 'alerts is append-only'); END;
