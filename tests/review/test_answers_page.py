"""The page of `mayak answers`: who may use it, and a person who labels with the keys."""

import json

import psutil
import pytest
from desk_browser import chromium, open_page, until

from evaluation_fakes import FakeAnswerer, make_data
from mayak.dataset.manifest import read_manifest
from mayak.evaluation import run
from mayak.evaluation.unread import UnreadAnswers

SAID = {0: "풍경 <script>alert(1)</script>\n사진입니다.", 2: "", 3: "?"}


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


def make_run(root):
    """A run with 15 unread answers; the first image is gone."""
    run.zeroshot(read_manifest(make_data(root)), FakeAnswerer(SAID), root / "zeroshot")
    (root / "raw_data" / "0_irrelevant" / "사진 0.png").unlink()
    return root / "zeroshot"


@pytest.fixture
def folder(tmp_path):
    return make_run(tmp_path)


@pytest.fixture(scope="module")
def safe(tmp_path_factory, serve):
    """A server to which nothing is decided."""
    return serve(make_run(tmp_path_factory.mktemp("safe")), command="answers")


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {"Cookie": None}, 401),
        ("GET", "/?token=wrong", {"Cookie": None}, 401),
        ("GET", "/api/answers", {"Cookie": None}, 401),
        ("GET", "/picture/1", {"Cookie": None}, 401),
        ("GET", "/", {"Host": "evil.example"}, 421),
        ("GET", "/picture/1", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("DELETE", "/api/answers", {}, 405),
        ("POST", "/api/label", {"Origin": None}, 403),
        ("POST", "/api/label", {"Origin": "http://evil.example"}, 403),
        ("POST", "/api/label", {"Content-Type": "text/plain"}, 415),
        ("POST", "/api/label", {"Cookie": None}, 401),
        ("POST", "/api/label", {"Content-Length": "999999999"}, 413),
    ],
)
def test_what_does_not_come_from_the_page_is_refused_and_told(safe, method, path, headers, status):
    before = safe.log.read_text(encoding="utf-8").count("refused")
    body = {"position": 1, "answer": SAID[0], "label": 0} if method == "POST" else None
    assert safe.ask(method, path, body, **headers)[0] == status
    log = safe.log.read_text(encoding="utf-8")
    assert log.count("refused") == before + 1
    assert safe.token not in log
    assert all(one["label"] is None for one in safe.json("GET", "/api/answers")["answers"])


def test_only_this_machine_is_answered_and_the_token_is_no_argument(safe):
    process = psutil.Process(safe.process.pid)
    listening = [c.laddr.ip for c in process.net_connections() if not c.raddr]
    assert listening == ["127.0.0.1"]
    assert safe.token not in " ".join(process.cmdline())


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"position": 0, "answer": SAID[0], "label": 4}, 422),
        ({"position": 0, "answer": SAID[0], "label": -2}, 422),
        ({"position": 99, "answer": SAID[0], "label": 0}, 400),
        ({"position": -1, "answer": "?", "label": 0}, 422),
        ({"position": 2**40, "answer": "?", "label": 0}, 422),
        ({"position": 0, "answer": "another", "label": 0}, 400),
        ({}, 422),
    ],
)
def test_what_is_no_decision_is_refused(safe, body, status):
    found, _, answer = safe.ask("POST", "/api/label", body)
    assert found == status
    assert json.loads(answer)["message"]
    assert all(one["label"] is None for one in safe.json("GET", "/api/answers")["answers"])


def test_pictures_are_jpegs_and_nothing_names_the_true_label(safe):
    status, headers, data = safe.ask("GET", "/picture/1")
    assert (status, headers["content-type"], data[:2]) == (200, "image/jpeg", b"\xff\xd8")
    for path in ("/picture/0", "/picture/99"):  # gone; there is none
        assert safe.ask("GET", path)[0] == 404
    assert safe.ask("GET", "/picture/-1")[0] == 422
    found = safe.json("GET", "/api/answers")["answers"]
    assert found == [
        {"answer": SAID[label], "label": None} for label in (0, 2, 3) for _ in range(5)
    ]


def wait_for(page, text):
    until(page, "text => document.querySelector('.progress')?.textContent.includes(text)", text)


def at(page):
    return page.locator(".answering .bar .figure").inner_text()


def test_keys_decide_and_labels_outlive_the_page(browser, folder, serve):
    server = serve(folder, command="answers")
    # The first image is gone: 404.
    with open_page(browser, allowed="404") as page:
        page.goto(server.url)
        page.locator(".answering").wait_for()
        assert "blur" in page.locator("html").get_attribute("class")
        quote = page.locator("blockquote")
        assert quote.inner_text().split("\n")[0] == "풍경 <script>alert(1)</script>"
        page.locator(".stage .empty", has_text="missing, has changed").wait_for()
        page.keyboard.press("0")
        wait_for(page, "1 of 15")
        assert at(page) == "2 / 15"
        page.locator(".stage img").wait_for()
        page.keyboard.press("-")
        wait_for(page, "2 of 15")
        page.keyboard.press("ArrowRight")
        until(
            page, "() => document.querySelector('.answering .bar').textContent.includes('4 / 15')"
        )
        page.keyboard.press("n")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        page.locator(".verdict", has_text="drug itself").click()
        wait_for(page, "3 of 15")
        # A key that is held decides once.
        page.keyboard.down("1")
        wait_for(page, "4 of 15")
        for _ in range(5):
            page.keyboard.down("1")
        page.keyboard.up("1")
        assert page.locator(".progress").inner_text().strip() == "4 of 15 labelled"
        # A label can be withdrawn, and given again.
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Backspace")
        wait_for(page, "3 of 15")
        shown = at(page)
        page.keyboard.press("1")
        wait_for(page, "4 of 15")
        page.keyboard.press("ArrowLeft")
        assert at(page) == shown
    found = UnreadAnswers(folder, "kim").labels
    assert found.count(None) == 11
    assert found[:2] == [0, -1]
    assert sorted(label for label in found if label is not None) == [-1, 0, 1, 3]
    server.stop()
    parser = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["parser"]
    assert parser["labelled"] == 4
    assert "4 of 15 were labelled" in (folder / "report.html").read_text(encoding="utf-8")
    again = serve(folder, reviewer="lee", command="answers")
    with open_page(browser, allowed="404") as page:
        page.goto(again.url)
        wait_for(page, "4 of 15")


def test_a_phone_shows_the_progress_and_the_whole_tables_of_the_report(browser, safe, folder):
    phone = {"width": 390, "height": 844}
    with open_page(browser, allowed="404", viewport=phone) as page:
        page.goto(safe.url)
        page.get_by_text("0 of 15 labelled").wait_for(state="visible")
        assert page.evaluate("document.documentElement.scrollWidth") <= phone["width"]
        page.goto((folder / "report.html").as_uri())
        page.locator(".scroll").first.wait_for()
        assert not page.evaluate(
            "[...document.querySelectorAll('.scroll')].filter((one) =>"
            " one.scrollWidth > one.clientWidth).map((one) => one.textContent)"
        )


def test_a_label_that_could_not_be_stored_is_said_and_not_shown(browser, folder, serve):
    server = serve(folder, command="answers")
    with open_page(browser, allowed="404") as page:
        page.goto(server.url)
        page.locator(".answering").wait_for()
        folder.rename(folder.with_name("elsewhere"))
        page.keyboard.press("2")
        until(page, "() => document.querySelector('.notice').textContent.includes('Not stored')")
        assert at(page) == "1 / 15"
        wait_for(page, "0 of 15")
        folder.with_name("elsewhere").rename(folder)
        page.keyboard.press("2")
        wait_for(page, "1 of 15")


def test_the_page_is_korean_for_a_korean_browser(browser, folder, serve):
    server = serve(folder, command="answers")
    with open_page(browser, allowed="404", locale="ko-KR") as page:
        page.goto(server.url)
        page.locator(".answering").wait_for()
        text = page.locator("body").inner_text()
        assert "해석하지 못한 답변" in text
        for english in ("label", "answer", "picture"):
            assert english not in text
