"""Training presets, complete and commented."""
