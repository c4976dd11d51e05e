"""Preparation of data sets: ``raw_data/`` or decided images of cases → manifests."""

from mayak.dataset.manifest import Manifest, read_manifest
from mayak.dataset.options import PrepareOptions, PrepareResult
from mayak.dataset.preparation import prepare, prepare_folds

__all__ = [
    "Manifest",
    "PrepareOptions",
    "PrepareResult",
    "prepare",
    "prepare_folds",
    "read_manifest",
]
