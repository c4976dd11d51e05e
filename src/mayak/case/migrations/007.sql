-- Within a group, what is the same picture saved twice: contents of one stack may be decided
-- together, any two of them were compared. Empty for a content that is in no stack; all are in
-- groupings made before this was recorded, which state no distance either.
ALTER TABLE group_members ADD COLUMN stack INTEGER CHECK (stack > 0);
ALTER TABLE groupings ADD COLUMN stack_distance INTEGER CHECK (stack_distance <= distance);
