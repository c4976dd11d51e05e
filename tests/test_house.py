"""What is shipped around the code: layers, versions, licence, documents, make targets."""

import ast
import csv
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mayak.cli.app import build
from mayak.config import PRESETS, load_train_config

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
READMES = ("README.md", "README.ko.md")
DOCUMENTS = sorted(
    [
        *(path.relative_to(ROOT).as_posix() for path in ROOT.glob("*.md")),
        *(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/*.md")),
        "benchmarks/README.md",
    ]
)
posix = pytest.mark.skipif(sys.platform == "win32", reason="the set-up is a shell script")


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def pins():
    lines = (line for line in text("constraints.txt").splitlines() if line and line[0] != "#")
    return {canonicalize_name(name): version for name, version in (s.split("==") for s in lines)}


def requirements():
    extras = PROJECT["project"]["optional-dependencies"].values()
    groups = PROJECT["dependency-groups"].values()
    listed = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    return [Requirement(text) for text in listed + [r for part in (*extras, *groups) for r in part]]


def commands(name):
    """The lines of a document's ``sh`` blocks, and the ``mayak …`` and ``make …`` in its prose."""
    document = text(name)
    blocks = re.findall(r"^```sh\n(.*?)^```", document, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    prose = re.sub(r"^```.*?^```", "", document, flags=re.MULTILINE | re.DOTALL)
    return lines + re.findall(r"`((?:mayak|make) [^`]+)`", prose)


def test_layers_hold():
    linter = shutil.which("lint-imports", path=Path(sys.executable).parent)
    done = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_each_requirement_has_an_exact_version_that_it_allows(requirement):
    version = pins()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version)
    assert "+" not in version


def test_malicious_versions_are_excluded():
    lightning = next(r for r in requirements() if r.name == "lightning")
    assert not lightning.specifier.contains("2.6.2")
    assert not lightning.specifier.contains("2.6.3")


def test_licence_and_notices_are_shipped():
    assert "Apache License" in text("LICENSE").splitlines()[1]
    assert "END OF TERMS AND CONDITIONS" in text("LICENSE")
    fonts = ROOT / "src" / "mayak" / "fonts"
    assert len(list(fonts.glob("*LICENSE*"))) == 3
    assert (ROOT / "src" / "mayak" / "py.typed").is_file()


@pytest.mark.parametrize("name", PRESETS)
def test_each_shipped_configuration_is_whole_and_commented(name):
    source = text(f"src/mayak/configs/{name}.yaml")
    values = yaml.safe_load(source)
    assert load_train_config(name).model_dump() == values
    keys = re.findall(r"^ *\w+:.*$", source, re.MULTILINE)
    assert sum("#" in line for line in keys) >= len(keys) // 2


@pytest.mark.parametrize("name", READMES)
def test_readme_commands_are_understood(name):
    app = build()
    found = [line for line in commands(name) if line.startswith("mayak ")]
    for step in ("prepare", "train", "evaluate", "zeroshot", "compare"):
        assert f"mayak {step}" in found
    for line in found:
        tokens = [word for word in shlex.split(line)[1:] if word != "…"]
        if tokens in (
            ["triage"],
            ["verify"],
            ["review"],
            ["report"],
        ):  # named in passing: these need a case
            assert tokens[0] in app
            continue
        _, bound, _ = app.parse_args(tokens, print_error=False, exit_on_error=False)
        assert bound is not None


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documented_make_targets_exist(name):
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))
    for line in commands(name):
        # VARIABLE=value may stand before and after make.
        words = [word for word in shlex.split(line) if "=" not in word]
        if words[:1] == ["make"]:
            assert targets.issuperset(words[1:]), line


def test_both_readmes_show_the_same_commands():
    blocks = [re.findall(r"^```sh\n(.*?)^```", text(name), re.M | re.S) for name in READMES]
    assert blocks[0] == blocks[1]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text(name)):
        if "://" not in target:
            assert (ROOT / name).parent.joinpath(target).exists(), target


def test_architecture_names_every_package():
    shown = text("docs/architecture.md")
    for path in (ROOT / "src" / "mayak").iterdir():
        if path.suffix == ".py" or (path / "__init__.py").is_file():
            assert path.stem in ("__init__", "__main__") or f"`{path.stem}`" in shown, path.name


def test_results_are_whole_and_newest_first():
    with (ROOT / "benchmarks" / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert all(None not in row and all(row[key] for key in row if key != "unit") for row in rows)
    dates = [row["date"] for row in rows]
    assert dates == sorted(dates, reverse=True)
    machines = set(re.findall(r"^\| `([\w-]+)` \|", text("benchmarks/README.md"), re.MULTILINE))
    assert {row["machine"] for row in rows} == machines
    for script in {row["script"].split()[0] for row in rows}:
        known = (ROOT / "benchmarks" / script, ROOT / "scripts" / script)
        assert script in ("make", "mayak", "not") or any(path.is_file() for path in known), script


def syntax_trees():
    """The syntax tree of each module of both packages, by its path."""
    for package in ("mayak", "mayak_synthetic"):
        for path in sorted((ROOT / "src" / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def test_no_two_public_classes_share_a_name():
    found = defaultdict(list)
    for module, tree in syntax_trees():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(module)
    assert not {name: modules for name, modules in found.items() if len(modules) > 1}


def checked_words(path, text):
    path.write_text(text, encoding="utf-8")
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "check_words.py", path],
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def test_the_word_list_knows_what_is_plain_english(tmp_path):
    path = tmp_path / "module.py"
    plain = checked_words(
        path, '"""Return None if there is no file, or if it is no longer used."""\n'
    )
    assert plain.returncode == 0, plain.stdout
    poetic = checked_words(path, '"""Say so if it is no file."""\nx = "whoever reads it anew"\n')
    assert poetic.returncode == 1
    places = [line.split(": ")[0].split(":")[1] for line in poetic.stdout.splitlines()[:3]]
    assert places == ["1", "2", "2"]
    assert checked_words(path, "# Only if; where, where, where.\n" * 10).returncode == 1


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def lines_of(function):
    """Its lines of code: without signature, docstring, tables and nested functions, which count on
    their own."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    lines = {line for node in body for line in range(node.lineno, node.end_lineno + 1)}
    for node in ast.walk(function):
        if isinstance(node, FUNCTIONS) and node is not function:
            lines -= set(range(node.lineno, node.end_lineno + 1))
        elif isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict):
            lines -= set(range(node.lineno + 1, node.end_lineno))
    return len(lines)


def test_no_function_has_more_than_60_lines_outside_tables():
    long = {
        f"{module}: {node.name}": lines
        for module, tree in syntax_trees()
        for node in ast.walk(tree)
        if isinstance(node, FUNCTIONS) and (lines := lines_of(node)) > 60
    }
    assert not long


@pytest.fixture
def clone(tmp_path):
    """A folder with what the set-up reads, in a path with a space and Korean letters."""
    folder = tmp_path / "압수물 분석"
    (folder / "scripts").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "scripts/setup.sh"):
        shutil.copy(ROOT / name, folder / name)
    disk_with(folder, gigabytes=50)
    return folder


def disk_with(folder, gigabytes):
    """How full the disk of this machine is must not decide a test."""
    (folder / "tools").mkdir(exist_ok=True)
    row = f"/dev/disk 60000000 0 {gigabytes}000000 0% /"
    body = f"echo Filesystem 1024-blocks Used Available Capacity Mounted on\necho {row}"
    interpreter(folder / "tools", "df", body)


def set_up(folder, **environment):
    paths = {"PATH": f"{folder / 'tools'}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        ["scripts/setup.sh"],
        cwd=folder,
        env=paths | environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def interpreter(folder, name, body):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@posix
def test_set_up_without_python_says_what_to_install(clone):
    done = set_up(clone, PYTHON="no-such-python")
    assert done.returncode == 2
    assert "no-such-python is: not there" in done.stderr
    assert "apt install python3 python3-venv" in done.stderr
    korean = set_up(clone, PYTHON="no-such-python", LC_ALL="ko_KR.UTF-8")
    assert "Python 3.11 이상이 필요합니다" in korean.stderr
    assert not (clone / ".venv").exists()


@posix
def test_set_up_refuses_an_old_python(clone):
    body = 'if [ "$1" = --version ]; then echo Python 3.10.12; else exit 1; fi'
    done = set_up(clone, PYTHON=interpreter(clone, "old python", body))
    assert done.returncode == 2
    assert "is: Python 3.10.12" in done.stderr


@posix
def test_set_up_names_the_missing_venv_package(clone):
    body = f'case "$2" in *ensurepip*) exit 1;; *) exec "{sys.executable}" "$@";; esac'
    done = set_up(clone, PYTHON=interpreter(clone, "debian-python", body))
    assert done.returncode == 2
    assert "apt install python3-venv" in done.stderr
    assert "python{}.{}-venv".format(*sys.version_info[:2]) in done.stderr


@posix
def test_set_up_refuses_a_disk_without_room(clone):
    disk_with(clone, gigabytes=8)
    done = set_up(clone, PYTHON=sys.executable)
    assert done.returncode == 2
    assert "needs about 9 GB here; 8 GB are free" in done.stderr
    assert not (clone / ".venv").exists()


@posix
def test_set_up_without_a_network_says_how_to_do_without(clone):
    # No network is asked: pip may only look into an empty folder.
    (clone / "wheels").mkdir()
    done = set_up(
        clone,
        PYTHON=sys.executable,
        PIP_CONFIG_FILE="/dev/null",
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS=str(clone / "wheels"),
    )
    assert done.returncode == 2
    assert "PIP_NO_INDEX=1 PIP_FIND_LINKS" in done.stderr
    assert not (clone / ".venv" / ".installed").exists()


@posix
def test_set_up_once_is_enough_until_the_versions_change(clone):
    # A stand-in whose pip notes that it was asked; what it notes is all that it installs.
    calls = clone / "calls"
    (clone / ".venv" / "bin").mkdir(parents=True)
    body = (
        f'case "$*" in *"-m pip"*) echo "$*" >>"{calls}";; *) exec "{sys.executable}" "$@";; esac'
    )
    interpreter(clone / ".venv" / "bin", "python", body)
    assert set_up(clone).returncode == 0
    first = calls.read_text(encoding="utf-8").splitlines()
    assert any("-c constraints.txt" in line and "--group dev" in line for line in first)
    assert set_up(clone).returncode == 0
    assert calls.read_text(encoding="utf-8").splitlines() == first
    with (clone / "constraints.txt").open("a", encoding="utf-8") as file:
        file.write("# newer\n")
    assert set_up(clone).returncode == 0
    assert len(calls.read_text(encoding="utf-8").splitlines()) == 2 * len(first)
