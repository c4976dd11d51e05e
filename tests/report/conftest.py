from pathlib import Path

import pytest
from report_samples import decide, make

from mayak.case import CaseStore
from mayak.report import write_report
from mayak.types import SilentProgress


@pytest.fixture(scope="session")
def case(tmp_path_factory):
    """A reviewed case; nobody writes to it."""
    return decide(make(tmp_path_factory.mktemp("report") / "사건 <1>"))


@pytest.fixture(scope="session")
def write():
    def write(case, folder, language="en", **options):
        with CaseStore.read(case) as store:
            return write_report(store, Path(folder), SilentProgress(), language=language, **options)

    return write


@pytest.fixture(scope="session")
def report(case, write, tmp_path_factory):
    """The folder of the case's English report."""
    return write(case, tmp_path_factory.mktemp("en") / "report").folder


@pytest.fixture(scope="session")
def korean_report(case, write, tmp_path_factory):
    return write(case, tmp_path_factory.mktemp("ko") / "report", "ko").folder
