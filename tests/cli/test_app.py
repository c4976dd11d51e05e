"""The command line as a whole: help, languages, exit codes, and a start without torch."""

import json
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import mayak
from mayak.cli import app
from mayak.cli.app import main
from mayak.dataset.manifest import read_manifest
from mayak.errors import IntegrityError, ManifestError, MayakWarning
from mayak.i18n import msg

HEAVY = {"torch", "torchvision", "transformers", "peft", "lightning", "sklearn", "matplotlib"}
COMMANDS = [name for name, *_ in app._COMMANDS]


def run(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    return stopped.value.code or 0


@pytest.fixture
def command(monkeypatch):
    """Puts a function in as the only command, ``mayak it``."""

    def put(function):
        monkeypatch.setattr(app, "_COMMANDS", (("it", function, "A command."),))

    return put


def test_help_names_every_command_in_english(capsys):
    assert run("--lang", "en", "--help") == 0
    shown = capsys.readouterr()
    assert all(f" {name} " in shown.out for name in COMMANDS)
    assert "Sorts the images of a seized phone" in shown.out
    assert shown.err == ""


def test_help_in_korean(capsys):
    assert run("--lang=ko", "--help") == 0
    shown = capsys.readouterr().out
    assert all(f" {name} " in shown for name in COMMANDS)
    assert "압수한 휴대전화" in shown


@pytest.mark.parametrize("language", ["en", "ko"])
def test_help_groups_every_command_by_job(language, capsys):
    titles = {
        "en": ("Dataset and model", "Evidence and case", "Machine"),
        "ko": ("데이터 세트와 모델", "분석 대상과 케이스", "컴퓨터"),
    }[language]
    run("--lang", language, "--help")
    shown = capsys.readouterr().out
    starts = [shown.index(f"─ {title} ") for title in titles]
    assert starts == sorted(starts)
    assert " Commands " not in shown
    parts = [shown[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)]
    first = ("prepare", "triage", "demo")
    assert all(f" {name} " in part for name, part in zip(first, parts, strict=True))


def test_the_package_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "mayak", "--version"],
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert (done.returncode, done.stdout.strip()) == (0, mayak.__version__)


def test_language_of_the_locale(monkeypatch, capsys):
    monkeypatch.setenv("LC_ALL", "ko_KR.UTF-8")
    run("--help")
    assert "압수한 휴대전화" in capsys.readouterr().out
    run("--lang", "en", "--help")
    assert "Sorts the images" in capsys.readouterr().out


def test_what_a_thread_finds_wrong_is_told_in_the_language_that_was_asked_for(command, capsys):
    def it():
        with ThreadPoolExecutor(1) as pool:
            pool.submit(read_manifest, Path("absent.json")).result()

    command(it)
    assert run("--lang", "ko", "it") == 2
    assert "파일이 없습니다: absent.json" in capsys.readouterr().err


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(name, language, capsys):
    assert run("--lang", language, name, "--help") == 0
    usage = "Usage" if language == "en" else "사용법"
    assert f"{usage}: mayak {name}" in capsys.readouterr().out


def test_help_starts_without_heavy_libraries():
    # A process of its own: this one has them loaded by other tests.
    program = (
        "import sys\n"
        "from mayak.cli.app import main\n"
        f"for arguments in [['--help'], *([name, '--help'] for name in {COMMANDS!r})]:\n"
        "    try:\n"
        "        main(arguments)\n"
        "    except SystemExit as stopped:\n"
        "        assert not stopped.code, arguments\n"
        f"print('loaded', *sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "loaded"


@pytest.mark.parametrize(
    "program", ["import mayak", "from mayak.cli.app import main; main(['--help'])"]
)
def test_what_everyone_waits_for_starts_without_numpy(program):
    watched = {"numpy", "pydantic", "rich.progress", *HEAVY}
    at_the_end = f"print(*sorted({watched!r} & set(sys.modules)), file=sys.stderr)"
    program = f"import atexit, sys\natexit.register(lambda: {at_the_end})\n{program}"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, encoding="utf-8"
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["doctor", "--nonsense"], ["doctor", "extra"], ["--lang", "xx", "doctor"]],
)
def test_wrong_usage_is_exit_code_2(arguments, capsys):
    assert run(*arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err


def test_version(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out.strip() == "0.1.0"


@pytest.mark.parametrize("code", [0, 1, 2])
def test_exit_code_of_a_command(code, command):
    command(lambda: code)
    assert run("it") == code


def test_error_is_one_line_with_its_remedy(command, capsys):
    def it():
        raise ManifestError("no such [bold]folder[/bold]", remedy="make it")

    command(it)
    assert run("--lang", "en", "it") == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "error: no such [bold]folder[/bold]\nremedy: make it\n"


def test_error_in_korean(command, capsys):
    def it():
        raise ManifestError("폴더가 없습니다", remedy="만드십시오")

    command(it)
    assert run("--lang", "ko", "it") == 2
    assert capsys.readouterr().err == "오류: 폴더가 없습니다\n해결: 만드십시오\n"


def test_verbose_shows_the_traceback(command, capsys):
    def it():
        raise ManifestError("no such folder")

    command(it)
    assert run("-v", "it") == 2
    assert "Traceback" in capsys.readouterr().err


def test_integrity_fault_is_exit_code_3(command):
    def it():
        raise IntegrityError("changed")

    command(it)
    assert run("it") == 3


def test_interruption_is_exit_code_130(command, capsys):
    def it():
        raise KeyboardInterrupt

    command(it)
    assert run("--lang", "en", "it") == 130
    assert capsys.readouterr().err == "interrupted\n"


WRONG = [
    (["triage"], "--case requires", "--case의 값이 필요합니다", "mayak triage --help"),
    (
        ["triage", "a", "--case", "c", "--accept-damage"],
        "unknown option: --accept-damage. Did you mean --accept-damaged?",
        "--accept-damage (--accept-damaged?)",
        "mayak triage --help",
    ),
    (
        ["trian"],
        "unknown command: trian. Did you mean train?",
        "명령입니다: trian (train?)",
        "mayak --help",
    ),
    (["nonsense"], "unknown command: nonsense", "명령입니다: nonsense", "mayak --help"),
    (
        ["review", "a", "b"],
        "too many arguments: b",
        "인수가 너무 많습니다: b",
        "mayak review --help",
    ),
    (
        ["train", "--epochs", "x"],
        "--epochs: invalid value: x (give an integer)",
        "--epochs: 사용할 수 없는 값입니다: x (정수를",
        "mayak train --help",
    ),
    (
        ["triage", "a", "--case", "c", "--since", "soon"],
        "--since: invalid value: soon (give a date like",
        "--since: 사용할 수 없는 값입니다: soon (날짜를",
        "mayak triage --help",
    ),
    (
        ["train", "--precision", "fp9"],
        "fp9 (choose from: nf4, bf16, fp32)",
        "fp9 (가능한 값: nf4, bf16, fp32)",
        "mayak train --help",
    ),
    (
        ["decisions", "merg"],
        "unknown command: merg. Did you mean merge?",
        "merg (merge?)",
        "mayak decisions --help",
    ),
    (
        ["report", "--case", "a", "--case", "b"],
        "--case is given more than once",
        "두 번 이상 지정되었습니다: --case",
        "mayak report --help",
    ),
]


@pytest.mark.parametrize(("arguments", "english", "korean", "remedy"), WRONG)
def test_a_wrong_call_is_told_in_the_users_language(arguments, english, korean, remedy, capsys):
    for language, told in (("en", english), ("ko", korean)):
        assert run("--lang", language, *arguments) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        text = " ".join(shown.err.split())
        assert told in text and remedy in text
        assert "Traceback" not in text


@pytest.mark.filterwarnings("default")
def test_warnings_for_developers_of_torch_are_not_shown(command, capsys):
    def it():
        for text in (
            "TensorFloat32 tensor cores for float32 matrix multiplication available but not "
            "enabled. Consider setting `torch.set_float32_matmul_precision('high')`",
            "The AccumulateGrad node's stream does not match the stream of the node that produced",
            "Something else about TensorFloat32",
        ):
            warnings.warn(text, UserWarning, stacklevel=1)

    command(it)
    assert run("it") == 0
    shown = capsys.readouterr().err
    assert "Something else about TensorFloat32" in shown
    assert "not enabled" not in shown
    assert "AccumulateGrad" not in shown


@pytest.mark.filterwarnings("default")
def test_our_warnings_are_told_as_lines_and_those_of_others_as_python_does(command, capsys):
    def warn() -> int:
        warnings.warn("아무것도 멈추지 않습니다", MayakWarning, stacklevel=1)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        return 0

    command(warn)
    assert run("it") == 0
    ours, *others = capsys.readouterr().err.splitlines()
    assert ours == "아무것도 멈추지 않습니다"
    assert "DeprecationWarning: old" in others[0]


def test_a_wrong_global_option_is_told_too(capsys):
    assert run("--lang", "ko", "--lang", "en", "doctor") == 2
    assert "두 번 이상 지정되었습니다: --lang" in capsys.readouterr().err


def test_an_unforeseen_error_is_told_in_the_readers_language(command, capsys):
    def fail() -> int:
        raise ValueError(msg("not a JSON object"))

    command(fail)
    assert run("--lang", "ko", "it") == 2
    shown = capsys.readouterr().err
    assert "ValueError: JSON 객체가 아님" in shown
    assert "mayak의 결함입니다" in shown


_ODD = "사진/é 😀 \u200b.jpg"
_SAYS = f"""
from mayak.cli import app
from mayak.cli.console import Console

def it(*, json: bool = False):
    console = Console()
    if json:
        console.json({{"name": {_ODD!a}}})
        return
    console.note({_ODD!a})
    console.result({_ODD!a})
    console.table({_ODD!a}, ["a", "b"], [[{_ODD!a}, "1"]])
    with console.task({_ODD!a}, 1, "s") as task:
        task.advance()

app._COMMANDS = (("it", it, "A command."),)
app.main()
"""


@pytest.mark.parametrize("encoding", ["cp949", "ascii", "cp1252", "utf-8"])
def test_a_name_that_the_terminals_encoding_lacks_is_escaped(encoding):
    def said(*arguments):
        done = subprocess.run(
            [sys.executable, "-c", _SAYS, "it", *arguments],
            env=os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
            capture_output=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr.count(b"bug in mayak")) == (0, 0)
        return done.stdout.decode(encoding)

    shown = said()
    assert shown.count(".jpg") == 3
    assert "é" in shown if encoding in ("cp1252", "utf-8") else "\\xe9" in shown
    assert json.loads(said("--json")) == {"name": _ODD}


def test_so_it_is_where_no_locale_is_set():
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG"))}
    done = subprocess.run(
        [sys.executable, "-c", _SAYS, "it"],
        env=environment | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, b"\\xe9" in done.stdout) == (0, True)
