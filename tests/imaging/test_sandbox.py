"""What one file does to its decoder costs that file, and has the same text everywhere."""

import os
import sys
import time

import pytest

from mayak.imaging import sandbox
from mayak.imaging.sandbox import Sandbox


def decoded(data):
    if data == b"crash":
        os._exit(1)
    if data == b"hang":
        time.sleep(600)
    if data == b"bomb":
        return bytes(2**30)
    return len(data)


@pytest.fixture
def small_budget(monkeypatch):
    monkeypatch.setattr(sandbox, "_SECONDS", 10.0)
    monkeypatch.setattr(sandbox, "_MEMORY", 2**29)
    monkeypatch.setattr(sandbox, "_MIN_MEMORY", 2**29)


TEXTS = {
    b"crash": "the decoder crashed on this file",
    b"hang": "the decoder took longer than 10 s on this file",
    b"bomb": "the decoder needed more than 0.5 GiB on this file",
}


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of memory there")
def test_each_loss_costs_one_file_and_has_its_text(small_budget):
    with Sandbox(decoded) as decoder:
        for data, text in TEXTS.items():
            assert decoder.failure_text(decoder(data)) == text
            assert decoder(b"good") == 4


def test_there_are_no_more_processes_than_the_memory_has_room_for(monkeypatch):
    monkeypatch.setattr("mayak.workers.free_memory", lambda: 5 * 2**30)
    assert len(Sandbox(decoded, 16)._workers) == 2
    assert len(Sandbox(decoded, 0)._workers) == 1
