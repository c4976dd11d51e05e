"""Files from elsewhere: whatever is wrong with one, one clear line names it."""

import json
import os
import socket

import pytest

from case_samples import five_items
from mayak.case import CaseStore
from mayak.case.decision_export import _hash, read_export, write_export
from mayak.case.folder import read_identity
from mayak.cli.demo_ledger import LEDGER, Ledger
from mayak.cli.options import base_of
from mayak.config import load_train_config
from mayak.dataset.manifest import DATASET_FILE, read_manifest
from mayak.dataset.store import DataFolder
from mayak.errors import MayakError
from mayak.evaluation.record import METRICS, read_run
from mayak.evaluation.rows import PREDICTIONS
from mayak.hashlists import HashList
from mayak.model.calibration import CALIBRATION, Calibration
from mayak.training.record import read_json as read_training
from mayak.types import EvidencePath
from mayak.untrusted import PARSE_ERRORS, parse_json, read_file, read_json

DAMAGE = {
    "empty": b"",
    "cut": b'{"a": [1, {"b": "c',
    "binary": b"\xff\xfe\x00\x01",
    "NULs": bytes(100),
    "null": b"null",
    "number": b"7",
    "huge number": b"9" * 5000,
    "text": b'"text"',
    "list of lists": b"[[1], [2]]",
    "list of numbers": b"[1, 2]",
    "empty object": b"{}",
    "deep lists": b"[" * 100_000,
    "closed deep lists": b"[" * 900 + b"]" * 900,
    "deep objects": b'{"a":' * 50_000,
    "wrong values": b'{"format": [], "id": {}, "engine": 7, "images": {"a": 1}, "created": "x"}',
    "half a pair": b'{"id": "\\ud800", "name": "\\ud800", "format": 1, "created": "2026-01-01"}',
    "time without zone": b'{"format":1,"id":"a","name":"b","created":"2026-01-01T00:00:00"}',
}


@pytest.mark.parametrize("name", ["empty", "cut", "binary", "NULs", "huge number", "deep lists"])
def test_every_kind_of_damage_is_one_kind_of_exception(name):
    with pytest.raises(ValueError):
        parse_json(DAMAGE[name])


def test_nesting_is_bounded_whatever_python_could_still_read():
    assert parse_json("[" * 60 + "]" * 60)
    assert parse_json('{"a": [' + "[]," * 500 + "[]]}")
    for text in ("[" * 70 + "]" * 70, '{"a":' * 70 + "1" + "}" * 70):
        with pytest.raises(ValueError, match="nested too deeply"):
            parse_json(text)


def test_only_regular_files_are_read_and_only_up_to_the_limit(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert read_file(file, 5) == b"12345"
    with pytest.raises(ValueError, match="more than 4 bytes"):
        read_file(file, 4)
    link = tmp_path / "link"
    link.symlink_to(file)
    assert read_file(link, 5) == b"12345"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        (tmp_path / "endless").symlink_to("/dev/zero")
        for name in ("pipe", "socket", "endless", "."):
            with pytest.raises(OSError, match="not a regular file"):
                read_file(tmp_path / name, 5)
    with pytest.raises(OSError, match="not a regular file"):
        read_file(link, 5, follow=False)


def _identity(folder):
    return folder / "case.json", lambda: read_identity(folder)


def _history(folder):
    return folder / "acts.jsonl", lambda: read_export(folder / "acts.jsonl")


def _manifest(folder):
    path = folder / "data" / "test_drug_data.json"
    return path, lambda: read_manifest(path)


def _dataset(folder):
    record = {"id": "a", "image_path": "data/a.jpg", "question": "q", "answer": "0"}
    path = folder / "data" / "test_drug_data.json"
    path.parent.mkdir()
    path.write_text(json.dumps([record]))
    return folder / "data" / DATASET_FILE, lambda: read_manifest(path)


def _previous(folder):
    return folder / DATASET_FILE, lambda: DataFolder(folder).previous()


def _calibration(folder):
    return folder / CALIBRATION, lambda: Calibration.read(folder)


def _run(folder):
    (folder / PREDICTIONS).write_text("id,label\na,0\n")
    return folder / METRICS, lambda: read_run(folder)


def _predictions(folder):
    values = dict.fromkeys(("dataset", "engine", "manifest"), "x")
    values |= {"kind": "zeroshot-score", "engine_details": {}, "n": 1}
    (folder / METRICS).write_text(json.dumps(values))
    return folder / PREDICTIONS, lambda: read_run(folder)


def _training(folder):
    return folder / "identity.json", lambda: read_training(folder / "identity.json")


def _adapter(folder):
    return folder / "adapter_config.json", lambda: base_of(folder, None)


def _record_of_the_adapter(folder):
    (folder / "adapter_config.json").write_text("{}")
    return folder / "run.json", lambda: base_of(folder, None)


def _ledger(folder):
    return folder / LEDGER, lambda: Ledger(folder)


def _configuration(folder):
    return folder / "train.yaml", lambda: load_train_config(str(folder / "train.yaml"))


def _hash_list(folder):
    return folder / "known.txt", lambda: HashList.open(folder / "known.txt")


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(
    "reader",
    [
        _identity,
        _history,
        _manifest,
        _dataset,
        _previous,
        _calibration,
        _run,
        _predictions,
        _training,
        _adapter,
        _record_of_the_adapter,
        _ledger,
        _configuration,
        _hash_list,
    ],
    ids=lambda reader: reader.__name__[1:],
)
def test_a_damaged_file_is_named_in_one_line(tmp_path, reader, damage):
    path, read = reader(tmp_path)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(DAMAGE[damage])
    try:
        read()
    except MayakError as error:
        assert str(tmp_path) in error.message
        assert len(error.message) < 1000 + len(str(tmp_path))


@pytest.mark.parametrize(
    "reader", [_identity, _history, _manifest, _calibration, _training, _adapter, _configuration]
)
def test_a_pipe_in_place_of_a_file_is_refused_at_once(tmp_path, reader):
    path, read = reader(tmp_path)
    path.parent.mkdir(exist_ok=True)
    os.mkfifo(path)
    with pytest.raises(MayakError, match="not a regular file"):
        read()


def _chained(*records):
    lines, previous = [], "0" * 64
    for record in records:
        previous = _hash(previous, record)
        lines.append(json.dumps(record | {"hash": previous}))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    "act",
    [
        {"number": 1.0},
        {"number": True},
        {"reviewer": "\ud800"},
        {"reviewer": 7},
        {"at": "0001-01-01T00:00:00+14:00"},
        {"at": 7},
        {"verdicts": [1]},
        {"verdicts": {"x": 1.0}},
        {"undoes": 1.0},
        {"sample": 0},
        {"sample": "0"},
        {"sample": {}},
    ],
)
def test_an_act_that_mayak_never_writes_is_named_by_its_line(tmp_path, act):
    """The chain of hashes is right: whoever changes a line can make it so."""
    head = {"format": "mayak decisions", "version": 1, "case": "c"}
    right = {
        "reviewer": "kim",
        "number": 1,
        "at": "2026-01-01T00:00:00+00:00",
        "verdicts": {"x": 1},
    }
    path = tmp_path / "acts.jsonl"
    path.write_text(_chained(head, right, {"end": 3}))
    assert len(read_export(path).actions) == 1
    path.write_text(_chained(head, right | act, {"end": 3}))
    with pytest.raises(MayakError, match="line 2 is not what mayak writes"):
        read_export(path)


def test_a_history_that_ends_in_its_head_is_no_history(tmp_path):
    head = {"format": "mayak decisions", "version": 1, "case": "c", "end": 1}
    (tmp_path / "acts.jsonl").write_text(_chained(head))
    with pytest.raises(MayakError, match="is not a file of decisions"):
        read_export(tmp_path / "acts.jsonl")


def test_a_history_goes_there_and_back(tmp_path):
    with CaseStore.create(tmp_path / "case", operator="a") as store:
        store.add_items(store.add_source("phone.zip", "zip"), five_items())
        store.decide("kim", {next(store.contents()).sha256: 1})
        write_export(tmp_path / "acts.jsonl", store.export_decisions())
        assert read_export(tmp_path / "acts.jsonl") == store.export_decisions()


@pytest.mark.parametrize(
    "text",
    [
        "7",
        "null",
        "{}",
        "[" * 100_000,
        '[{"kind":"file"}]',
        '[{"kind":"file","name":7}]',
        '[{"kind":"file","name":"x","raw":7}]',
        '[{"kind":"file","name":"x","serial":"x"}]',
        json.dumps([{"kind": "file", "name": "x"}] * 5000),
    ],
)
def test_a_stored_path_that_mayak_never_writes_is_one_error(text):
    with pytest.raises(ValueError, match="not an evidence path"):
        EvidencePath.from_json(text)


def test_a_json_file_is_read_as_its_text(tmp_path):
    (tmp_path / "a.json").write_text('{"사건": [1, 2.5, null, "\\u0041"]}', encoding="utf-8")
    assert read_json(tmp_path / "a.json", 1000) == {"사건": [1, 2.5, None, "A"]}
    with pytest.raises(PARSE_ERRORS):
        read_json(tmp_path / "a.json", 10)
