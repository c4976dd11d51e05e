"""A small test set, anew for each test."""

from __future__ import annotations

import pytest

from evaluation_fakes import make_data
from mayak.dataset.manifest import read_manifest


@pytest.fixture
def manifest(tmp_path):
    return read_manifest(make_data(tmp_path))
