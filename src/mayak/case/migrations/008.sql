-- How the image was shown when it was decided: opened in the viewer (or in a blind sample), in the
-- grid, as a copy behind another image of the same picture, or in bulk: not drawn on the screen. And
-- whether what was drawn was blurred. Empty for decisions that were not made on the page, and for
-- those made before this was recorded.
ALTER TABLE decisions ADD COLUMN seen TEXT CHECK (
  seen IS NULL OR (seen IN ('opened', 'grid', 'copy', 'bulk') AND verdict IS NOT NULL)
);
ALTER TABLE decisions ADD COLUMN blurred INTEGER CHECK (
  (blurred IS NULL OR blurred IN (0, 1))
  AND (blurred IS NOT NULL) = (coalesce(seen, 'bulk') != 'bulk')
);
