"""An E01 written here is read by libewf as the same medium."""

import hashlib
import random

import pytest

from mayak.evidence.containers.ewf import EwfBytes
from mayak_synthetic import ewf

NOISE = random.Random(1).randbytes(2 * 32768)


@pytest.mark.parametrize(
    "medium",
    [
        pytest.param(bytes(512), id="one sector"),
        pytest.param(NOISE, id="chunks that do not shrink"),
        pytest.param(bytes(40000 - 40000 % 512) + NOISE[:1024], id="a short last chunk"),
    ],
)
def test_the_medium_and_its_hashes_come_back(tmp_path, medium):
    path = tmp_path / "a.E01"
    ewf.write_e01(path, medium)
    data = EwfBytes(path)
    assert data.size == len(medium)
    assert data.read_at(0, len(medium)) == medium
    assert data.stored == {
        "md5": hashlib.md5(medium).hexdigest(),  # noqa: S324
        "sha1": hashlib.sha1(medium).hexdigest(),  # noqa: S324
    }
    data.close()


def test_what_one_table_cannot_describe_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(ewf, "MAX_CHUNKS", 1)
    ewf.write_e01(tmp_path / "a.E01", bytes(32768))
    for medium in (b"", bytes(511), bytes(32768 + 512)):
        with pytest.raises(ValueError, match="not a medium"):
            ewf.write_e01(tmp_path / "b.E01", medium)
    assert not (tmp_path / "b.E01").exists()
