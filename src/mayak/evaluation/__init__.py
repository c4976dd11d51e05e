"""Measurement: a model run over a manifest, what its answers mean, and two runs compared."""
