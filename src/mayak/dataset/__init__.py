"""``raw_data/`` → manifests: collected, grouped, split, augmented."""
