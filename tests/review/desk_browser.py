"""A Chromium that may speak to this machine only, and pages that must not complain."""

import os
import shutil
import sys
import time
from contextlib import contextmanager
from ctypes.util import find_library
from urllib.parse import urlsplit

import pytest

NO_BROWSER = "no browser to test with (Debian, Ubuntu: sudo apt-get install chromium libatomic1)"
"""Why a browser test did not run; ``tests/conftest.py`` counts these at the end."""

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium():
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    # Playwright's own Node.js is linked with libatomic, which a bare Debian 12 lacks.
    if program is None or (sys.platform == "linux" and find_library("atomic") is None):
        if os.environ.get("MAYAK_TEST_BROWSER") == "required":
            pytest.fail(NO_BROWSER)
        pytest.skip(NO_BROWSER)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield opened
        opened.close()


@contextmanager
def open_page(browser, *, allowed="409", **options):
    """A page of a new profile. Fails if it says anything in its console but for what is allowed,
    or asks anything of another machine."""
    context = browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | options))
    page = context.new_page()
    complaints, foreign = [], []

    def asked(request):
        asked_of = urlsplit(request.url)
        if asked_of.hostname != "127.0.0.1" and asked_of.scheme != "file":
            foreign.append(request.url)

    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", asked)
    page.set_default_timeout(8000)
    yield page
    context.close()
    assert foreign == []
    expected = ("status of 400 ", f"status of {allowed} ")
    assert [text for text in complaints if not any(one in text for one in expected)] == []


def until(page, condition, argument=None, seconds=30):
    """Wait for a condition in the page; Playwright's own waiting needs ``eval``, which the page's
    content security policy refuses."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition, argument):
        assert time.monotonic() < end, f"never came true: {condition} with {argument}"
        time.sleep(0.03)
