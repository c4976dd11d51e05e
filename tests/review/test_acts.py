"""A decision is one deliberate act on a picture that was shown, in a real browser."""

import json
import time

import pytest
from acting import PATIENCE, at_rest, current, decisions, drawn, grid, notice, verdicts
from desk_browser import open_page, until
from review_samples import build

from mayak.case import CaseStore
from mayak.case.folder import thumbnail_path

PRESS = """([key, code, more]) => {
  const target = document.activeElement;
  const common = { key, code, bubbles: true, cancelable: true, ...more };
  target.dispatchEvent(new KeyboardEvent("keydown", common));
  target.dispatchEvent(new KeyboardEvent("keyup", common));
}"""
"""A key as keyboards and input methods send it that Playwright does not know."""


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return build(tmp_path_factory.mktemp("acts"), 200)


@pytest.fixture
def made(tmp_path, serve):
    digests, case = build(tmp_path, 24, stack=4)
    yield digests, case
    serve.end(case)


def test_moving_while_an_answer_is_under_way_leaves_the_frame_where_it_was_moved(page, made, serve):
    digests, case = made
    grid(page, serve(case))
    page.evaluate("() => void late.hold()")
    page.keyboard.press("3")
    page.locator("#cell-10").click()
    current(page, digests[10])
    page.keyboard.press("2")
    current(page, digests[11])  # at once, so that the next key is for what is framed
    page.evaluate("() => late.release()")
    at_rest(page)
    assert verdicts(case) == {digests[0]: 3, digests[10]: 2}
    current(page, digests[11])


def test_a_failed_answer_is_told_and_shifts_nothing(page, made, serve):
    digests, case = made
    grid(page, serve(case))
    page.evaluate("() => void late.hold()")
    page.evaluate("() => (late.fail = [0, 1, 0])")
    for key in "312":
        page.keyboard.press(key)
    page.evaluate("() => late.release()")
    box = page.get_by_role("dialog")
    box.get_by_text("No. 2, 1 drug conversation").wait_for()
    page.keyboard.press("0")  # goes nowhere while the message is open
    assert verdicts(case) == {digests[0]: 3, digests[2]: 2}
    page.keyboard.press("Escape")
    current(page, digests[1])
    page.keyboard.press("1")
    at_rest(page)
    assert verdicts(case) == {digests[0]: 3, digests[2]: 2, digests[1]: 1}


def test_a_lost_answer_is_not_called_unrecorded(browser, made, serve):
    digests, case = made

    with open_page(browser, allowed="500") as page:
        grid(page, serve(case))
        page.evaluate("() => (late.lost = [1])")
        page.keyboard.press("3")
        box = page.get_by_role("dialog")
        box.get_by_role("heading", name="One entry may not have been recorded").wait_for()
        assert "look whether the image has its verdict" in box.inner_text()
        assert verdicts(case) == {digests[0]: 3}
        page.keyboard.press("Escape")
        page.route("**/api/decide", lambda route: route.fulfill(status=500, body="Internal"))
        page.locator("#cell-0.decided").wait_for()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("1")
        box.get_by_text("No. 2, 1 drug conversation: The server answered with an error").wait_for()
        assert verdicts(case) == {digests[0]: 3}


def test_a_slow_answer_is_told_before_the_key_is_pressed_again(page, made, serve):
    grid(page, serve(made[1]))
    page.evaluate("() => void late.hold()")
    page.keyboard.press("3")
    notice(page, "Still being recorded. The next key is for the next image.")
    page.evaluate("() => late.release()")
    at_rest(page)
    current(page, made[0][1])


def test_after_the_last_image_a_further_key_overwrites_nothing(page, made, serve):
    digests, case = made
    grid(page, serve(case), "/?stack=0&sort=found&at=" + made[0][-1])
    page.keyboard.press("2")
    page.keyboard.press("0")
    notice(page, "That was the last one.")
    at_rest(page)
    assert verdicts(case) == {digests[-1]: 2}


def test_after_n_no_verdict_is_taken_until_the_next_image_is_known(page, made, serve):
    digests, case = made
    grid(page, serve(case))
    page.keyboard.press("3")
    at_rest(page)
    page.keyboard.press("ArrowLeft")
    page.evaluate("() => void late.hold()")
    page.keyboard.press("n")
    page.keyboard.press("0")
    notice(page, "Not taken")
    page.evaluate("() => late.release()")
    current(page, digests[1])
    assert verdicts(case) == {digests[0]: 3}


# ---------------------------------------------------------------- keys


def test_a_held_key_decides_and_withdraws_once(page, made, serve):
    digests, case = made
    grid(page, serve(case))
    for _ in range(12):
        page.keyboard.down("0")
    page.keyboard.up("0")
    at_rest(page)
    assert verdicts(case) == {digests[0]: 0}
    page.keyboard.press("1")
    for _ in range(5):
        page.keyboard.down("Backspace")
    page.keyboard.up("Backspace")
    at_rest(page)
    assert verdicts(case) == {digests[0]: 0}
    for _ in range(5):
        page.keyboard.down(" ")
    page.keyboard.up(" ")
    current(page, digests[2])
    for _ in range(4):
        page.keyboard.down("ArrowRight")
    page.keyboard.up("ArrowRight")
    current(page, digests[6])


DIGITS = [
    ("1", "Digit1", {}, 1),
    ("1", "Numpad1", {}, 1),
    ("End", "Numpad1", {}, 1),  # Num Lock off
    ("Insert", "Numpad0", {}, 0),
    ("Process", "Digit2", {}, 2),  # a Korean input method
    ("Process", "Numpad3", {}, 3),
    ("１", "Digit1", {}, 1),
    ("３", "", {}, 3),  # a keyboard on the screen
    ("&", "Digit1", {}, 1),  # AZERTY
    ("1", "Digit1", {"shiftKey": True}, 1),
    ("1", "Digit1", {"modifierCapsLock": True}, 1),
    ("é", "Digit2", {}, 2),
    ("!", "Digit1", {"shiftKey": True}, None),
    ("End", "End", {}, None),
    ("ArrowDown", "ArrowDown", {}, None),
    ("End", "Numpad1", {"shiftKey": True}, None),
    ("1", "Digit1", {"ctrlKey": True}, None),
    ("1", "Digit1", {"altKey": True}, None),
    ("1", "Digit1", {"repeat": True}, None),
    ("4", "Digit4", {}, None),
]


def test_digits_are_read_by_their_place_on_the_keyboard(page, made, serve):
    digests, case = made
    grid(page, serve(case))
    for at, (key, code, more, _) in enumerate(DIGITS):
        page.locator(f"#cell-{at}").click()
        page.evaluate(PRESS, [key, code, more])
        at_rest(page)
    found = verdicts(case)
    assert [found.get(digest) for digest in digests[: len(DIGITS)]] == [
        verdict for *_, verdict in DIGITS
    ]


def test_letters_are_read_by_their_place_on_the_keyboard(page, made, serve):
    grid(page, serve(made[1]))
    for key, code in (
        ("b", "KeyB"),
        ("B", "KeyB"),
        ("ㅠ", "KeyB"),
        ("Process", "KeyB"),
        ("ㅠ", ""),
    ):
        before = page.locator("html").get_attribute("class")
        page.evaluate(PRESS, [key, code, {}])
        assert ("blur" in page.locator("html").get_attribute("class")) != ("blur" in before), key


def test_r_turns_the_other_way_with_shift_and_not_with_caps_lock(page, many, serve):
    grid(page, serve(many[1], "keys"), "/?stack=0&open=1")
    page.locator(".lying").wait_for()
    until(page, "document.activeElement.classList.contains('viewer')")
    for key, more, turned in (("r", {}, 90), ("R", {}, 180), ("R", {"shiftKey": True}, 90)):
        page.evaluate(PRESS, [key, "KeyR", more])
        assert f"rotate({turned}deg)" in page.locator(".lying").get_attribute("style")


def test_a_digit_decides_only_where_the_focus_is_on_the_images(page, made, serve):
    digests, case = made
    grid(page, serve(case))
    page.locator(".side .row").first.focus()
    page.keyboard.press("3")
    notice(page, "click an image or press an arrow")
    page.get_by_label("Sort").focus()
    page.keyboard.press("2")
    page.fill("#search", "IMG")
    page.press("#search", "Enter")
    until(page, "location.search.includes('q=IMG')")
    page.keyboard.type("123")
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("1")
    page.keyboard.press("Escape")
    at_rest(page)
    assert verdicts(case) == {}
    until(page, "document.querySelectorAll('.cell[data-sha256]').length === 24")
    page.keyboard.press("Home")
    page.keyboard.press("1")
    at_rest(page)
    assert verdicts(case) == {digests[0]: 1}


def test_the_second_click_of_a_double_click_decides_nothing(page, made, serve):
    digests, case = made
    grid(page, serve(case), "/?stack=0&sort=found&open=1")
    until(page, "document.querySelector('.lying img')?.naturalWidth > 0")
    page.locator(".verdict.l2").dblclick()
    notice(page, "double click")
    at_rest(page)
    assert verdicts(case) == {digests[0]: 2}


# ---------------------------------------------------------------- what was shown


def test_no_verdict_is_taken_before_the_picture_has_been_drawn(page, made, serve):
    digests, case = made
    server = serve(case)
    page.goto(server.url)
    held = []
    page.route("**/thumb/*", lambda route: held.append(route))
    page.goto(f"{server.base}/?stack=0&sort=found", wait_until="domcontentloaded")
    page.evaluate(PATIENCE, 600_000)
    until(page, "document.querySelectorAll('.cell[data-sha256]').length === 24")
    page.keyboard.press("3")
    page.keyboard.press("2")
    time.sleep(0.5)
    assert verdicts(case) == {}
    until(page, "document.querySelectorAll('.cell.current').length === 1")
    for route in held:
        route.continue_()
    at_rest(page)
    assert verdicts(case) == {digests[0]: 3, digests[1]: 2}


def test_a_key_whose_picture_never_comes_is_dropped_and_named(page, made, serve):
    digests, case = made
    server = serve(case)
    page.goto(server.url)
    page.route("**/thumb/*", lambda route: None)
    page.goto(f"{server.base}/?stack=0&sort=found", wait_until="domcontentloaded")
    page.evaluate(PATIENCE, 300)
    until(page, "document.querySelectorAll('.cell[data-sha256]').length === 24")
    page.keyboard.press("3")
    page.keyboard.press("2")
    page.get_by_text("2 entries were not recorded").wait_for()
    page.get_by_text("No. 1, 3 drug itself: the picture had not been drawn").wait_for()
    page.keyboard.press("Escape")
    page.unroute_all(behavior="ignoreErrors")
    assert verdicts(case) == {}
    current(page, digests[0])


def test_an_image_that_cannot_be_shown_says_so_and_asks_first(browser, made, serve):
    digests, case = made
    with CaseStore.read(case) as store:
        thumbnail_path(case, store.content(digests[0]).thumbnail).unlink()
    with open_page(browser, allowed="404") as page:
        grid(page, serve(case))
        assert "cannot be shown" in page.locator("#cell-0").inner_text()
        page.keyboard.press("3")
        box = page.get_by_role("dialog")
        box.get_by_text("This image could not be shown").wait_for()
        page.keyboard.press("Enter")  # the safe answer has the focus
        box.wait_for(state="detached")
        assert verdicts(case) == {}
        current(page, digests[0])
        page.keyboard.press("3")
        box.get_by_role("button", name="Decide all the same").click()
        current(page, digests[1])
    (row,) = decisions(case)
    assert (row.sha256, row.verdict, row.seen) == (digests[0], 3, ("bulk", None))


def test_a_stack_that_cannot_be_shown_names_its_number(browser, made, serve):
    digests, case = made
    with CaseStore.read(case) as store:
        for digest in digests[-4:]:
            thumbnail_path(case, store.content(digest).thumbnail).unlink()
    with open_page(browser, allowed="404") as page:
        grid(page, serve(case), "/?sort=found")
        page.keyboard.press("End")
        page.keyboard.press("3")
        box = page.get_by_role("dialog")
        box.get_by_role("heading", name="Decide 4 images at once: 3 drug itself?").wait_for()
        assert "could not be shown" in box.inner_text()
        assert verdicts(case) == {}
        box.get_by_role("button", name="Decide 4 images").click()
        at_rest(page)
    assert verdicts(case) == dict.fromkeys(digests[-4:], 3)


def test_a_frame_that_was_scrolled_out_of_sight_is_not_decided(page, many, serve):
    digests, case = many
    grid(page, serve(case, "scroller"))
    page.evaluate("() => (document.getElementById('grid').scrollTop = 1e6)")
    until(page, "!document.getElementById('cell-0')")
    page.keyboard.press("3")
    notice(page, "Not taken: the framed image was out of sight")
    until(page, "document.getElementById('cell-0')")
    drawn(page)
    assert verdicts(case, "scroller") == {}
    page.keyboard.press("3")
    at_rest(page)
    assert verdicts(case, "scroller") == {digests[0]: 3}


def test_more_images_than_are_on_the_screen_are_asked_for_by_number(page, many, serve):
    digests, case = many
    server = serve(case, "sweeper")
    grid(page, server)
    page.keyboard.press("Control+a")
    page.keyboard.press("0")
    box = page.get_by_role("dialog")
    box.get_by_role("heading", name="Decide 200 images at once: 0 irrelevant?").wait_for()
    page.keyboard.press("Escape")
    box.wait_for(state="detached")
    assert verdicts(case, "sweeper") == {}
    assert page.locator(".picked").inner_text() == "200 selected"
    page.keyboard.press("0")
    box.get_by_role("button", name="Decide 200 images").click()
    at_rest(page)
    found = decisions(case, "sweeper")
    assert {row.sha256: row.verdict for row in found} == dict.fromkeys(digests, 0)
    shown = [row.sha256 for row in found if row.seen == ("grid", True)]
    assert 10 < len(shown) <= 60
    assert set(shown) <= set(digests[:60])
    assert {row.seen for row in found if row.sha256 not in shown} == {("bulk", None)}


def test_a_number_that_is_no_longer_true_is_refused(made, serve):
    digests, case = made
    server = serve(case)
    token = server.json("GET", "/api/select?sort=found&stack=0")["token"]
    screen = {"how": "grid", "blurred": False, "positions": {digests[0]: 0}}
    body = {"verdict": 1, "token": token, "ranges": [[0, 5]], "shown": screen}
    for changes in ({}, {"count": 4}):
        status, _, data = server.ask("POST", "/api/decide", body | changes)
        assert (status, json.loads(data)["count"]) == (409, 5)
    assert verdicts(case) == {}
    assert len(server.json("POST", "/api/decide", body | {"count": 5})["images"]) == 5
    elsewhere = screen | {"positions": {digests[9]: 9}}
    assert server.ask("POST", "/api/decide", body | {"shown": elsewhere, "count": 5})[0] == 400


def test_each_image_is_recorded_as_it_was_shown(page, made, serve):
    digests, case = made
    grid(page, serve(case), "/?sort=found")
    page.keyboard.press("1")
    at_rest(page)
    page.keyboard.press("b")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("2")
    at_rest(page)
    page.keyboard.press("Enter")
    until(page, "document.querySelector('.lying img')?.naturalWidth > 0")
    page.keyboard.press("3")
    at_rest(page)
    page.keyboard.press("b")
    page.keyboard.press("Escape")
    page.keyboard.press("End")
    page.keyboard.press("0")
    at_rest(page)
    assert [(row.sha256, row.verdict, row.seen) for row in decisions(case)] == [
        (digests[0], 1, ("grid", True)),
        (digests[1], 2, ("grid", False)),
        (digests[2], 2, ("grid", False)),
        (digests[3], 3, ("opened", False)),
        (digests[20], 0, ("grid", True)),
        *((digest, 0, ("copy", True)) for digest in digests[21:]),
    ]
    with CaseStore.read(case) as store:
        assert store.verify() == []


# ---------------------------------------------------------------- what others decide


def test_another_window_and_another_reviewer_are_seen_within_a_poll(browser, made, serve):
    digests, case = made
    first, other = serve(case), serve(case, "lee")
    with open_page(browser) as page, open_page(browser) as second:
        grid(page, first)
        grid(second, first)
        second.keyboard.press("2")
        at_rest(second)
        other.json("POST", "/api/decide", {"verdict": 3, "images": [digests[0]]})
        until(page, "document.querySelector('#cell-0').dataset.verdict === '2'")
        until(page, "document.querySelector('#cell-0 [title=\"reviewers differ\"]')")
        # What it knows by now it may overwrite.
        page.keyboard.press("1")
        at_rest(page)
        assert page.locator("dialog[open]").count() == 0
        assert verdicts(case)[digests[0]] == 1


def test_overwriting_a_newer_verdict_of_another_window_asks(browser, made, serve):
    digests, case = made
    server = serve(case)
    with open_page(browser) as page, open_page(browser) as second:
        grid(page, server)
        grid(second, server)
        page.route("**/api/status*", lambda route: None)  # it learns nothing meanwhile
        second.keyboard.press("2")
        at_rest(second)
        page.keyboard.press("1")
        box = page.get_by_role("dialog")
        box.get_by_role("heading", name="Overwrite a newer decision").wait_for()
        assert f"{digests[0][:12]}…: 2 transaction place" in box.inner_text()
        page.keyboard.press("Escape")
        box.wait_for(state="detached")
        assert verdicts(case) == {digests[0]: 2}
        current(page, digests[0])
        page.keyboard.press("3")
        box.get_by_role("button", name="Overwrite").click()
        at_rest(page)
        assert verdicts(case) == {digests[0]: 3}
        # And its own decision it may change without a question.
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("1")
        at_rest(page)
        assert verdicts(case) == {digests[0]: 1}
        page.unroute_all(behavior="ignoreErrors")


def test_the_same_sample_in_two_windows_asks_before_it_overwrites(browser, tmp_path, serve):
    _, case = build(tmp_path, 24)
    server = serve(case)
    number = server.json("POST", "/api/samples", {"size": 3})["sample"]
    image = server.json("GET", f"/api/samples/{number}")["items"][0]["sha256"]
    with open_page(browser) as page, open_page(browser) as second:
        for window in (page, second):
            window.goto(server.url)
            window.goto(f"{server.base}/?view=sample")
            window.get_by_role("button", name="Go on").click()
            until(window, "document.querySelector('.judging img')?.naturalWidth > 0")
        second.keyboard.press("0")
        at_rest(second)
        page.keyboard.press("3")
        box = page.get_by_role("dialog")
        box.get_by_role("heading", name="Overwrite a newer decision").wait_for()
        page.keyboard.press("Escape")
        box.wait_for(state="detached")
        assert verdicts(case) == {image: 0}


def test_backspace_withdraws_what_was_decided_in_this_window(browser, made, serve):
    digests, case = made
    server = serve(case)
    with open_page(browser) as page, open_page(browser) as second:
        grid(page, server)
        grid(second, server)
        page.keyboard.press("1")
        at_rest(page)
        for key in ("ArrowRight", "2"):
            second.keyboard.press(key)
        at_rest(second)
        page.keyboard.press("Backspace")
        at_rest(page)
        assert verdicts(case) == {digests[1]: 2}


def test_a_decision_is_withdrawn_on_a_page_that_shows_no_images(page, made, serve):
    digests, case = made
    server = serve(case)
    server.json("POST", "/api/decide", {"verdict": 3, "images": [digests[0]]})
    page.goto(server.url)
    page.goto(f"{server.base}/?view=time")
    page.get_by_role("button", name="Undo (Backspace)").click()
    notice(page, "Withdrawn: 1, not in this list")
    assert verdicts(case) == {}


def test_a_stack_that_is_partly_decided_says_how_many(page, made, serve):
    _, case = made
    server = serve(case)

    def partly(route):
        answer = route.fetch()
        found = answer.json()
        found["cells"][20] |= {"members": 4, "decided": 1, "verdict": -1}
        route.fulfill(response=answer, json=found)

    page.goto(server.url)
    page.route("**/api/cells*", partly)
    page.goto(f"{server.base}/?sort=found")
    badge = page.locator("#cell-20 .badge.partly")
    badge.wait_for()
    assert badge.inner_text() == "1/4"
    assert "1 of 4 decided" in page.locator("#cell-20").get_attribute("aria-label")
    assert page.locator("#cell-20.decided").count() == 0
    drawn(page)
    page.keyboard.press("End")
    page.keyboard.press("1")
    page.locator("#cell-20.decided .badge.l1").wait_for()
    page.unroute_all(behavior="ignoreErrors")
