"""A Korean reader reads Korean, and what programs read does not depend on who reads."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from mayak.labels import LABELS

# Each message's English is put between marks. A mark that is printed belongs to a message that was
# not rendered: an f-string, `str.join` or the like has made a plain string of it.
_MARKED = """
from mayak import i18n

made = i18n._made

def marked(key, template, plural, values):
    message = made(key, template, plural, values)
    return i18n.Message("\\ue000" + str(message) + "\\ue001", message._source)

i18n._made = marked
"""
_COMMANDS = """
import json, sys
from mayak.cli.app import main

for arguments in json.loads(sys.argv[1]):
    try:
        main(arguments)
    except SystemExit as left:
        print(f"[{left.code}]", flush=True)
"""
ENGLISH = re.compile(r"(?<![\w/.`'‘-])(?!mayak )[A-Za-z][a-z]+(?: [a-z]{2,}){2,}")
"""Three words of English in a row."""
CHANGING = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00:00|Z)?"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|log head [0-9a-f]{64}"
)
"""Times, ids that are random, and what is computed from them."""


def run(folder, commands, marked=False):
    """Output of some commands, one after the other in a process of their own."""
    program = (_MARKED if marked else "") + _COMMANDS
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(commands)],
        cwd=folder,
        env=os.environ | {"COLUMNS": "1000"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def fill(folder):
    """Raw images of each class, and what triage meets on a phone."""
    folder.mkdir()
    noise = np.random.default_rng(1)
    for label in LABELS:
        (folder / "raw_data" / label.folder).mkdir(parents=True)
        for number in range(4):
            pixels = noise.integers(0, 255, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "raw_data" / label.folder / f"{number}.png")
    (folder / "raw_data" / LABELS[0].folder / "empty.jpg").touch()
    (folder / "photos").mkdir()
    Image.fromarray(pixels).save(folder / "photos" / "a.png")
    (folder / "photos" / "cut.jpg").write_bytes(b"\xff\xd8\xff" + bytes(99))
    (folder / "photos" / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    for file in (folder / "photos").iterdir():
        os.utime(file, (1_700_000_000, 1_700_000_000))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """For each language the folder and the output of the same commands on the same files, which lay
    at the same place."""
    base = tmp_path_factory.mktemp("languages")
    found = {}
    for language in ("en", "ko"):
        work = base / "work"
        fill(work)
        said = run(work, [["--lang", language, "prepare"]])
        (work / "raw_data" / LABELS[1].folder / "0.png").write_bytes(b"changed")
        (work / "raw_data" / LABELS[1].folder / "1.png").write_bytes(b"changed")
        (work / "raw_data" / LABELS[1].folder / "2.png").write_bytes(b"changed")
        (work / "raw_data" / LABELS[1].folder / "3.png").write_bytes(b"changed")
        commands = [
            ["triage", "photos", "--case", "case", "--model", "nano", "--operator", "kim"],
            ["zeroshot", "--model", "nano", "--by", "score"],
            ["verify", "case", "--operator", "kim"],
            ["report", "case"],
            ["--help"],
            ["triage", "--help"],
            ["train", "--help"],
            ["decisions", "--help"],
        ]
        said += run(work, [["--lang", language, *command] for command in commands])
        found[language] = work.rename(base / language), said
    return found


def rows(folder):
    """All rows of a case, without what is random and what is a digest of it."""
    digests = {"hash", "previous", "digest", "head", "sha256"}

    def settled(value):
        if isinstance(value, dict):
            return {k: None if k in digests else settled(v) for k, v in value.items()}
        if isinstance(value, list):
            return [settled(each) for each in value]
        return CHANGING.sub("*", value) if isinstance(value, str) else value

    with closing(sqlite3.connect(folder / "case.sqlite")) as database:
        database.row_factory = sqlite3.Row
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: [
                settled(
                    {
                        key: json.loads(value) if key == "detail" else value
                        for key, value in dict(row).items()
                        if name != "log" or key not in digests
                    }
                )
                for row in database.execute(f"SELECT * FROM {name}")  # noqa: S608
            ]
            for (name,) in names
        }


def test_a_case_is_the_same_in_every_language(runs):
    english, korean = (rows(folder / "case") for folder, _ in runs.values())
    assert english["failures"] and english["log"] and english["predictions"]
    assert korean == english


@pytest.mark.parametrize("name", ["metrics.json", "predictions.csv", "failures.csv"])
def test_results_are_the_same_in_every_language(runs, name):
    english, korean = (
        (folder / "evaluation_results_zeroshot_score" / name).read_bytes()
        for folder, _ in runs.values()
    )
    assert b"changed since" in english or name == "predictions.csv"
    assert korean == english


def test_a_data_set_is_the_same_in_every_language(runs):
    english, korean = (
        {file.name: file.read_bytes() for file in (folder / "data").glob("*.json")}
        for folder, _ in runs.values()
    )
    assert len(english) == 4
    assert korean == english


def test_a_graph_is_the_same_in_every_language(runs):
    english, korean = (
        sorted(
            CHANGING.sub("*", line)
            for line in (folder / "case-report" / "case.jsonld").read_text("utf-8").splitlines()
        )
        for folder, _ in runs.values()
    )
    assert english
    assert korean == english


def sentences(text):
    """English sentences in what was printed, but for the column of what is on record."""
    lines = [re.sub(r"^ (.*)│[^│]*$", r"\1", line) for line in text.splitlines()]
    return ENGLISH.findall("\n".join(lines))


def test_a_korean_run_prints_no_english_sentence(runs):
    assert len(sentences(runs["en"][1])) > 10
    assert sentences(runs["ko"][1]) == []


COMMANDS = (
    ["prepare", "--overwrite"],
    ["verify", "case", "--operator", "kim"],
    ["verify", "tampered", "--operator", "kim"],
    ["decisions", "export", "case", "--to", "decisions.jsonl", "--operator", "kim"],
    ["decisions", "disagreements", "case"],
    ["report", "case", "--overwrite"],
    ["report", "tampered"],
    [
        "compare",
        "evaluation_results_zeroshot_score",
        "other",
        "--out",
        "same",
    ],
    ["triage", "--case", "case"],
    ["triage", "photos", "--case", "photos", "--smallest", "-1"],
    ["report", "none"],
    ["review", "none"],
    ["review", "case", "--port", "99999", "--reviewer", "kim"],
    ["evaluate", "--adapter", "none"],
    ["classify", "none.jpg", "--model", "nano"],
    ["nonsense"],
    ["report", "--nonsense"],
)


@pytest.fixture(scope="module")
def marked(runs):
    folder = runs["ko"][0]
    target = folder / "tampered"
    target.mkdir()
    for file in (folder / "case").iterdir():
        if file.is_file():
            (target / file.name).write_bytes(file.read_bytes())
    (target / "thumbnails").mkdir()
    other = shutil.copytree(folder / "evaluation_results_zeroshot_score", folder / "other")
    figures = json.loads((other / "metrics.json").read_text(encoding="utf-8"))
    figures["kind"] = "finetuned-score"
    (other / "metrics.json").write_text(json.dumps(figures), encoding="utf-8")
    with closing(sqlite3.connect(target / "case.sqlite")) as database:
        database.execute("DROP TRIGGER contents_holds")
        database.execute("DROP TRIGGER contents_keeps")
        database.execute("UPDATE contents SET format = 'GIF'")
        database.commit()
    return folder, run(folder, [["--lang", "ko", *command] for command in COMMANDS], marked=True)


@pytest.fixture(scope="module")
def replaced(marked):
    """Output about sources that are of another kind than the case records, or of none that is
    read."""
    folder = marked[0]
    source = folder.parent / "work" / "photos"  # where it was when the case was made
    source.parent.mkdir()
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("a.png", b"")
    (folder / "a.txt").write_bytes(b"some words\n" * 60)
    commands = [
        ["verify", "case", "--operator", "kim"],
        ["triage", str(source), "--case", "case", "--model", "nano", "--operator", "kim"],
        ["triage", "a.txt", "--case", "other", "--model", "nano", "--operator", "kim"],
    ]
    return run(folder, [["--lang", "ko", *command] for command in commands], marked=True)


def test_kinds_of_files_are_named_in_the_readers_language(replaced):
    said = re.sub("[\ue000\ue001]", "", replaced)
    assert said.count("종류가 바뀌었습니다(폴더 → 압축 파일(ZIP))") == 2
    assert "이미지가 들어 있지 않은 종류의 파일입니다(텍스트)" in said
    assert sentences(said) == [] and "\ue000" not in replaced


def test_no_remedy_names_an_option_that_does_not_help(replaced):
    assert "다른 경로의 분석 대상으로 지정하십시오" in replaced
    assert "--accept-damaged" not in replaced


def test_no_message_is_lost_on_its_way_to_the_terminal(marked):
    said = marked[1]
    assert "무결성" in said or "변경" in said
    assert [line for line in said.splitlines() if "\ue000" in line or "\\ue000" in line] == []


def test_no_message_is_lost_on_its_way_to_a_page_or_table(marked):
    folder, _ = marked
    files = [
        *(folder / "case-report").glob("*.html"),
        *(folder / "case-report").glob("*.csv"),
        *(folder / "tampered-report").glob("*.html"),
        *(folder / "same").glob("*.html"),
    ]
    assert len(files) >= 6
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert "\ue000" not in text and "\\ue000" not in text, file


def test_a_korean_reader_sees_neither_english_sentences_nor_names_of_tables(marked):
    said = re.sub("[\ue000\ue001]", "", marked[1])
    assert sentences(said) == []
    assert re.findall(r"\b(?:contents|items|exclusions|failures|source_hashes) id\b", said) == []
