"""``raw_data/`` → manifests: collected, grouped, split, augmented."""

from mayak.dataset.manifest import Manifest, read_manifest
from mayak.dataset.preparation import PrepareOptions, PrepareResult, prepare

__all__ = ["Manifest", "PrepareOptions", "PrepareResult", "prepare", "read_manifest"]
