"""No test touches the network, and each keeps to one thread so that small machines agree."""

import os
import signal
from pathlib import Path

# Before anything imports torch or the hub's client, which read these once.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import pytest

from mayak.cli.console import Console
from mayak.evidence import open_in_process

SLOW = (
    "case/test_crash.py",
    "case/test_hostile.py",
    "case/test_stored_cases.py",
    "cli/test_answers_command.py",
    "cli/test_calibrate.py",
    "cli/test_demo.py",
    "cli/test_evaluate.py",
    "cli/test_report_command.py",
    "cli/test_rights.py",
    "cli/test_train.py",
    "cli/test_triage_command.py",
    "dataset/test_decided.py",
    "dataset/test_preparation.py",
    "evaluation/test_agreement.py",
    "evaluation/test_compare.py",
    "evaluation/test_measuring.py",
    "evaluation/test_unread.py",
    "imaging/test_large.py",
    "model/",
    "report/",
    "review/",
    "synthetic/test_scenes.py",
    "test_bench.py",
    "test_doctor.py",
    "training/",
    "triage/",
)
"""Files and folders whose tests take more than about a second each."""

LONGEST = (
    "review/test_typing.py",
    "review/test_acts.py",
    "review/test_desk_browser.py",
    "cli/test_languages.py",
    "evidence/test_isolated.py",
    "training/",
    "triage/",
    "model/",
    "evaluation/",
    "cli/",
    "review/",
    "report/",
    "case/",
)
"""What begins first, so that no long file is left to one process at the end."""


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help="leave out the slow files")


def pytest_ignore_collect(collection_path, config):
    """With ``--quick``: do not even import the slow files."""
    name = collection_path.relative_to(Path(__file__).parent).as_posix()
    return True if config.getoption("quick") and name.startswith(SLOW) else None


def pytest_collection_modifyitems(items):
    """Put the longest files first, in the order of ``LONGEST``."""

    def rank(item):
        name = item.path.relative_to(Path(__file__).parent).as_posix()
        return next((at for at, it in enumerate(LONGEST) if name.startswith(it)), len(LONGEST))

    items.sort(key=rank)


@pytest.fixture(autouse=True)
def english():
    """Texts are asserted in English; a test of the Korean ones asks for them itself."""
    Console.language = "en"
    yield
    Console.language = "en"


@pytest.fixture
def interruptible():
    """Ctrl-C as in a terminal: what a shell starts in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def in_process(request, monkeypatch):
    """Has sources read in this process, in which a test has changed what their reader does."""
    monkeypatch.setattr(request.module, "open_source", open_in_process)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """A random two-layer LLaVA-NeXT with the real Mistral tokenizer, named ``tiny``."""
    from model_folder import make_model_folder

    return make_model_folder(tmp_path_factory.mktemp("models") / "tiny")


def pytest_unconfigure(config):
    """Say at the very end how many browser tests did not run, and how to run them."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if without := sum("no browser to test with" in str(report.longrepr) for report in skipped):
        reporter.write_line(
            f"{without} browser tests were skipped: this machine has no Chromium or no libatomic. "
            "To run them: sudo apt-get install chromium libatomic1, then make test",
            yellow=True,
        )
