-- Whether an item's times are known to be UTC: 0 where the source keeps a clock without a time zone
-- (FAT, most ZIP files), whose reading then stands there as if it were UTC. Empty where the item was
-- added before this was recorded.
ALTER TABLE items ADD COLUMN zone_known INTEGER CHECK (zone_known IN (0, 1));

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
  iif(r.id IS NULL, f.message, r.message) AS message
FROM items i
LEFT JOIN revisions r ON r.id = (SELECT max(id) FROM revisions WHERE item = i.id)
LEFT JOIN exclusions x ON x.item = i.id
LEFT JOIN failures f ON f.item = i.id;
