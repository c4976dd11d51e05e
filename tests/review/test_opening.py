"""How the page is opened: the browser gets the token, and no other account of the machine."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from desk_browser import chromium, open_page
from review_samples import build

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a browser that is a script")


@pytest.fixture
def opened(tmp_path):
    """``mayak review --browser`` with a browser that notes what it is called with: the process,
    the printed address, and the arguments."""
    _, case = build(tmp_path, 3)
    noted = tmp_path / "arguments"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{noted}"\n')
    browser.chmod(0o755)
    runtime = tmp_path / "run time"
    runtime.mkdir()
    command = [sys.executable, "-c", "from mayak.cli.app import main; main()", "review", str(case)]
    process = subprocess.Popen(
        [*command, "--browser", "--reviewer", "kim"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "BROWSER": str(browser),
            "XDG_RUNTIME_DIR": str(runtime),
            "LANG": "C",
        },
    )
    address = process.stdout.readline().strip()
    process.stderr.readline()  # how to end the review; the browser is called after it
    while not noted.exists() or not noted.read_text().endswith("\n"):
        assert process.poll() is None
        time.sleep(0.05)
    yield process, address, noted.read_text().splitlines()
    process.kill()
    process.communicate()


def test_the_browser_is_given_a_file_that_only_its_user_can_read(opened):
    process, address, arguments = opened
    (argument,) = arguments
    token = address.partition("token=")[2]
    assert len(token) > 30
    assert token not in argument
    page = Path(unquote(urlsplit(argument).path))
    assert address in page.read_text(encoding="utf-8")
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert stat.S_IMODE(page.parent.stat().st_mode) == 0o700
    process.send_signal(signal.SIGINT)
    process.wait(20)
    assert not page.parent.exists()


def test_the_file_leads_to_the_page_and_the_token_leaves_the_address(opened):
    _, address, (file,) = opened
    with chromium() as browser, open_page(browser) as page:
        page.goto(file)
        page.locator(".cell").first.wait_for()
        assert page.url == address.partition("?")[0]
        page.reload()
        page.locator(".cell").first.wait_for()


def test_the_printed_address_leads_there_too(opened):
    _, address, _ = opened
    with chromium() as browser, open_page(browser) as page:
        page.goto(address)
        page.locator(".cell").first.wait_for()
        assert page.url == address.partition("?")[0]
