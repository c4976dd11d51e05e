"""The demo's ledger: what is done is not done again, what is not is."""

import json

import pytest

from mayak.cli.demo_ledger import LEDGER, Ledger, software_digest
from mayak.errors import ConfigError


def step(ledger, name, key, work):
    """As the demo does it: what is done is left alone."""
    if ledger.done(name, key):
        return False
    ledger.run(name, key, work)
    return True


def writes(path, text, calls):
    def work():
        calls.append(path.name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return [path]

    return work


def test_step_is_done_once_for_the_same_input(tmp_path):
    folder, calls = tmp_path / "demo", []
    work = writes(folder / "out" / "a.txt", "1", calls)
    assert step(Ledger(folder), "draw", Ledger.key("x"), work)
    # As another process would open it.
    assert not step(Ledger(folder), "draw", Ledger.key("x"), work)
    assert step(Ledger(folder), "draw", Ledger.key("y"), work)
    assert calls == ["a.txt", "a.txt"]


@pytest.mark.parametrize("damage", ["changed", "deleted"])
def test_damaged_output_is_made_again(tmp_path, damage):
    folder, calls = tmp_path / "demo", []
    output = folder / "out" / "a.txt"
    work = writes(output, "1", calls)
    Ledger(folder).run("draw", "key", work)
    output.unlink() if damage == "deleted" else output.write_text("2", encoding="utf-8")
    assert step(Ledger(folder), "draw", "key", work)
    assert output.read_text(encoding="utf-8") == "1"


def test_interrupted_step_is_begun_but_not_done(tmp_path):
    def dies():
        raise KeyboardInterrupt

    folder = tmp_path / "demo"
    with pytest.raises(KeyboardInterrupt):
        Ledger(folder).run("train", "key", dies)
    again = Ledger(folder)
    assert again.begun("train", "key")
    assert not again.begun("train", "other")
    assert not again.done("train", "key")


def test_folder_of_something_else_is_refused_untouched(tmp_path):
    (tmp_path / "evidence.jpg").write_bytes(b"1")
    with pytest.raises(ConfigError, match="not a demo of mayak") as refused:
        Ledger(tmp_path)
    assert refused.value.remedy
    assert [path.name for path in tmp_path.iterdir()] == ["evidence.jpg"]


def test_file_in_the_folders_place_is_refused(tmp_path):
    (tmp_path / "demo").write_bytes(b"1")
    with pytest.raises(ConfigError):
        Ledger(tmp_path / "demo")


@pytest.mark.parametrize("content", ["", "{", "[1]"])
def test_broken_ledger_names_itself(tmp_path, content):
    (tmp_path / LEDGER).write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=LEDGER):
        Ledger(tmp_path)


def test_key_depends_on_every_part_and_on_no_order_of_names():
    assert Ledger.key("a", {"x": 1, "y": 2}) == Ledger.key("a", {"y": 2, "x": 1})
    assert len({Ledger.key("a", "b"), Ledger.key("ab"), Ledger.key("b", "a")}) == 3


def test_ledger_is_readable(tmp_path):
    Ledger(tmp_path / "demo").run("그림", "key", writes(tmp_path / "demo" / "가.txt", "abc", []))
    found = json.loads((tmp_path / "demo" / LEDGER).read_text(encoding="utf-8"))
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert found == {"그림": {"key": "key", "outputs": {"가.txt": digest}}}


def test_software_digest_is_the_same_twice():
    assert software_digest() == software_digest()
    assert len(software_digest()) == 64
