-- Which reading of the image decided: 0 the vision tower's and 1 the language model's of the base
-- tile, 2 the whole model's. Empty where the prediction was added before this was recorded: the
-- whole model's.
ALTER TABLE predictions ADD COLUMN tier INTEGER CHECK (tier IN (0, 1, 2));
