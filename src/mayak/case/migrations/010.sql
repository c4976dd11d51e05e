-- The kind of a file that gave no image, by its name in mayak's table of file kinds. Empty where it
-- is not known, and where the outcome was recorded before kinds were.
ALTER TABLE exclusions ADD COLUMN kind TEXT;
ALTER TABLE failures ADD COLUMN kind TEXT;
ALTER TABLE revisions ADD COLUMN kind TEXT;

DROP VIEW present;
CREATE VIEW present AS
SELECT
  i.id, i.source, i.display, i.location, i.size, i.created, i.modified, i.accessed, i.changed,
  i.zone_known, i.deleted,
  coalesce(r.outcome, i.outcome) AS outcome,
  iif(r.id IS NULL, i.content, r.content) AS content,
  iif(r.id IS NULL, x.rule, r.rule) AS rule,
  iif(r.id IS NULL, x.reason, r.reason) AS reason,
  iif(r.id IS NULL, f.stage, r.stage) AS stage,
  iif(r.id IS NULL, f.error, r.error) AS error,
  iif(r.id IS NULL, f.message, r.message) AS message,
  iif(r.id IS NULL, coalesce(x.kind, f.kind), r.kind) AS kind
FROM items i
LEFT JOIN revisions r ON r.id = (SELECT max(id) FROM revisions WHERE item = i.id)
LEFT JOIN exclusions x ON x.item = i.id
LEFT JOIN failures f ON f.item = i.id;
