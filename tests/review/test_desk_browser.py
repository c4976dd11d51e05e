"""The desk in a real browser, as a person uses it."""

import dataclasses
import json
import re

import pytest
from desk_browser import open_page, until
from review_samples import ENGINE, HOSTILE, build

from mayak.case import CaseStore, Item
from mayak.names import printable
from mayak.types import Failure, Prediction, Scores


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return build(tmp_path_factory.mktemp("many"), 220, stack=12)


def decided(case, reviewer="kim"):
    with CaseStore.read(case) as store:
        latest = {}
        for decision in store.decisions(reviewer):
            latest[decision.sha256] = store.verdicts(decision.sha256).get(reviewer)
        return {digest: said.verdict for digest, said in latest.items() if said is not None}


def cursor(page):
    return page.locator(".cell.current").get_attribute("data-sha256")


def wait_for_progress(page, count):
    until(
        page, "n => document.querySelector('.progress')?.title.startsWith(n + ' of ')", str(count)
    )


def test_two_hundred_by_keyboard_outlive_reload_and_kill(page, many, serve):
    digests, case = many
    server = serve(case)
    page.goto(server.url)
    page.goto(f"{server.base}/?stack=0&sort=found")
    page.locator(".cell img").first.wait_for()
    assert "blur" in page.locator("html").get_attribute("class")
    for number in range(200):
        page.keyboard.press(str(number % 4))
    until(
        page, "sha => document.querySelector('.cell.current')?.dataset.sha256 === sha", digests[200]
    )
    wanted = {digest: number % 4 for number, digest in enumerate(digests[:200])}
    wait_for_progress(page, 200)
    assert decided(case) == wanted

    page.keyboard.press("Backspace")
    page.keyboard.press("Backspace")
    until(
        page, "sha => document.querySelector('.cell.current')?.dataset.sha256 === sha", digests[198]
    )
    for digest in digests[198:200]:
        del wanted[digest]
    wait_for_progress(page, 198)
    assert decided(case) == wanted

    until(page, "sha => location.search.includes(sha)", digests[198])
    page.reload()
    wait_for_progress(page, 198)
    until(
        page, "sha => document.querySelector('.cell.current')?.dataset.sha256 === sha", digests[198]
    )

    page.keyboard.press("3")
    until(
        page, "sha => document.querySelector('.cell.current')?.dataset.sha256 === sha", digests[199]
    )
    page.goto("about:blank")  # which does not ask for the state of the case
    server.kill()
    wanted[digests[198]] = 3
    assert decided(case) == wanted

    server.start()
    page.goto(server.url)
    wait_for_progress(page, 199)
    # What was decided before the crash is undone as before it.
    page.goto(f"{server.base}/?stack=0&sort=found")
    page.locator(".cell img").first.wait_for()
    page.keyboard.press("Backspace")
    wait_for_progress(page, 198)
    del wanted[digests[198]]
    assert decided(case) == wanted


def test_arrows_and_space_decide_nothing(page, many, serve):
    server = serve(many[1], "lee")
    page.goto(server.url)
    page.locator(".cell img").first.wait_for()
    first = cursor(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    assert cursor(page) == first
    page.keyboard.press(" ")
    until(page, "sha => document.querySelector('.cell.current')?.dataset.sha256 !== sha", first)
    assert decided(many[1], "lee") == {}


def test_a_stack_is_decided_at_once_and_undone_at_once(page, many, serve):
    digests, case = many
    server = serve(case, "park")
    page.goto(server.url)
    page.locator(".cell.stacked").first.wait_for(state="attached")
    page.locator(".cell.stacked").first.click()
    page.keyboard.press("2")
    wait_for_progress(page, 12)
    assert decided(case, "park") == dict.fromkeys(digests[-12:], 2)
    page.keyboard.press("Backspace")
    wait_for_progress(page, 0)
    assert decided(case, "park") == {}
    page.keyboard.press("e")
    until(page, "document.querySelectorAll('.cell').length === 12")
    page.keyboard.press("Home")
    page.keyboard.press("1")
    wait_for_progress(page, 1)
    assert list(decided(case, "park").values()) == [1]


def test_what_is_selected_with_shift_or_a_frame_is_decided_together(page, many, serve):
    digests, case = many
    server = serve(case, "choi")
    page.goto(server.url)
    page.goto(f"{server.base}/?stack=0&sort=found")
    page.locator(".cell img").first.wait_for()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("3")
    wait_for_progress(page, 3)
    assert decided(case, "choi") == dict.fromkeys(digests[:3], 3)

    cells = [page.locator(f"#cell-{n}").bounding_box() for n in (0, 1)]
    middle = [(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in cells]
    page.mouse.move(*middle[0])
    page.mouse.down()
    page.mouse.move(*middle[1], steps=4)
    page.mouse.up()
    assert page.locator(".cell.chosen").count() == 2
    page.keyboard.press("0")
    until(page, "document.querySelectorAll('[data-verdict=\"0\"]').length === 2")
    assert decided(case, "choi") == {digests[0]: 0, digests[1]: 0, digests[2]: 3}


def test_the_model_run_is_chosen_by_address(page, serve, tmp_path):
    digests, case = build(tmp_path, 8)
    other = dataclasses.replace(ENGINE, adapter="f" * 64)
    with CaseStore.open(case, operator="kim") as store:
        run = store.start_run(other)
        drug = (0.0, 0.0, 0.0, 1.0)
        store.add_results(
            run, [Prediction(sha, Scores(drug, 0.01), False, other.fingerprint) for sha in digests]
        )
    server = serve(case)
    page.goto(server.url)
    chooser = page.get_by_label("Model run")
    assert chooser.input_value() != str(run)  # it is not finished
    chooser.select_option(str(run))
    until(page, "run => location.search.includes('run=' + run)", str(run))
    of_drugs = page.locator(".side .row", has_text="drug itself").first
    until(page, "() => /drug itself\\s*8/.test(document.querySelector('.side').innerText)")
    page.reload()
    page.locator(".cell img").first.wait_for()
    assert page.get_by_label("Model run").input_value() == str(run)
    assert "8" in of_drugs.inner_text()


def test_a_filter_is_an_address(page, many, serve):
    server = serve(many[1])
    page.goto(server.url)
    page.locator(".row", has_text="transaction place").first.click()
    until(page, "document.querySelector('.total')?.textContent.startsWith('55 ')")
    page.locator(".row", has_text="deleted").click()
    until(page, "location.search.includes('deleted=1')")
    until(page, "document.querySelector('.total')?.textContent.startsWith('55 ') === false")
    shown = page.locator(".total").inner_text()
    address = page.url
    assert "label=2" in address
    page.goto(address)
    until(page, "t => document.querySelector('.total')?.textContent === t", shown)
    page.go_back()
    page.goto(f"{server.base}/?label=2&score=0.9-1")
    page.locator(".notice.shown", has_text="score").wait_for()
    page.goto(f"{server.base}/?q=img_0007")
    until(page, "document.querySelector('.total')?.textContent === '1 image'")


def test_korean_and_english_switch_live(page, many, serve):
    server = serve(many[1])
    page.goto(server.url)
    page.locator(".cell img").first.wait_for()
    place = page.url
    page.get_by_role("button", name="한국어").click()
    assert page.locator("html").get_attribute("lang") == "ko"
    assert page.get_by_role("link", name="이미지", exact=True).is_visible()
    latin = re.compile(
        r"\b(?!mayak|case|kim|Maker|One|Two|English|DCIM|evidence|nano|Space|Enter|GPS)[A-Za-z]{3,}"
    )
    assert not latin.findall(page.locator("body").inner_text())
    assert page.url == place
    page.keyboard.press("?")
    page.get_by_role("dialog", name="단축키").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="English").click()
    assert page.get_by_role("link", name="Images", exact=True).is_visible()


def test_the_viewer_shows_the_original_and_all_that_is_known(page, many, serve):
    digests, case = many
    server = serve(case)
    page.goto(server.url)
    page.goto(f"{server.base}/?stack=0&sort=found&at={digests[9]}&open=1")
    until(page, "document.querySelector('img.full')?.naturalWidth === 48")
    facts = page.locator(".facts")
    facts.get_by_text(digests[9]).wait_for()
    said = facts.inner_text()
    for expected in (
        "deleted",
        "IMG_0009.jpg",
        "Maker One",
        "37.50900",
        "48 × 48",
        "not calibrated",
    ):
        assert expected in said
    page.keyboard.press("r")
    page.keyboard.press("+")
    assert "rotate(90deg) scale(1.5)" in page.locator(".lying").get_attribute("style")
    page.keyboard.press("ArrowRight")
    facts.get_by_text(digests[10]).wait_for()
    page.keyboard.press("Escape")
    page.locator(".viewer").wait_for(state="detached")
    assert cursor(page) == digests[10]


def test_a_missing_source_is_said_and_the_thumbnail_stays(page, serve, tmp_path):
    digests, case = build(tmp_path, 4)
    (tmp_path / "evidence").rename(tmp_path / "gone")
    server = serve(case)
    page.goto(server.url)
    page.goto(f"{server.base}/?open=1&at={digests[0]}")
    page.locator(".why", has_text="source is not there").wait_for()
    assert page.locator(".lying img").first.evaluate("img => img.naturalWidth") == 48
    (tmp_path / "gone").rename(tmp_path / "evidence")
    (tmp_path / "evidence/DCIM/IMG_0000.jpg").write_bytes(b"something else")
    page.reload()
    page.locator(".why", has_text="no longer the one").wait_for()


def test_hostile_names_and_exif_are_text(page, serve, tmp_path):
    digests, case = build(tmp_path, len(HOSTILE), hostile=True)
    server = serve(case)
    page.goto(server.url)
    page.goto(f"{server.base}/?sort=found&stack=0&open=1")
    for number, name in enumerate(HOSTILE):
        page.locator(".facts").get_by_text(digests[number]).wait_for()
        path = page.locator(".occurrence .path").inner_text()
        assert path == f"evidence/DCIM/{printable(name)}"
        if number % 3 == 0:
            assert (
                "<b onmouseover=alert(1)>cam</b>\\u202eevil" in page.locator(".facts").inner_text()
            )
        assert page.locator(".facts").evaluate("box => box.scrollWidth <= box.clientWidth")
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    assert (
        page.locator("bdi *, code *, script:not([src]):not([type='application/json'])").count() == 0
    )
    assert page.title() == "case · mayak"


def test_what_was_not_read_has_a_view(page, many, serve):
    server = serve(many[1])
    page.goto(server.url)
    page.goto(f"{server.base}/?view=rejected")
    page.get_by_text("222 files = 220 images + 1 not read + 1 left out").wait_for()
    page.get_by_role("button", name=re.compile("smaller than the limit")).click()
    until(page, "document.querySelectorAll('tbody tr').length === 1")
    assert "icon.png" in page.locator("tbody").inner_text()
    page.get_by_role("button", name="한국어").click()
    assert "크기 기준 미만" in page.locator("tbody").inner_text()
    assert "16 × 16 pixels" in page.locator("tbody").inner_text()  # as it is on record
    page.get_by_role("button", name="English").click()
    page.goto(f"{server.base}/?view=rejected&kind=failure")
    page.get_by_text("cannot be decoded").wait_for()


def test_what_was_not_read_is_counted_and_chosen_by_kind(page, tmp_path, serve):
    with CaseStore.create(tmp_path / "case", operator="a") as store:
        source = store.add_source("/evidence/phone.dd", "image")
        kinds = ["SQLite", "SQLite", "mail or contacts", None]
        store.add_items(
            source,
            [
                Item(str(n), f"[{n}]", Failure(str(n), "read", "NotOpened", "-", kind=kind))
                for n, kind in enumerate(kinds)
            ],
        )
        store.record(
            "triage finished", sources=[1], limited=False, unexamined={"1": {"free": 40960}}
        )
    server = serve(tmp_path / "case")
    page.goto(server.url)
    page.goto(f"{server.base}/?view=rejected")
    page.get_by_text("free clusters 40,960").wait_for()
    assert page.locator(".file-kind").count() == 0
    page.get_by_role("button", name=re.compile("can hold pictures")).click()
    page.get_by_role("button", name=re.compile("^SQLite")).click()
    until(page, "document.querySelectorAll('tbody tr').length === 2")
    page.get_by_role("button", name=re.compile("kind not known")).click()
    until(page, "document.querySelectorAll('tbody tr').length === 1")
    page.get_by_role("button", name="한국어").click()
    page.get_by_role("button", name=re.compile("메일·연락처")).wait_for()
    serve.end(tmp_path / "case")


def test_timeline_and_map_lead_to_their_images(page, many, serve):
    server = serve(many[1])
    page.goto(server.url)
    page.goto(f"{server.base}/?view=time")
    page.locator(".bin").first.click()
    until(page, "location.search.includes('from=2026-03-01')")
    page.goto(f"{server.base}/?view=map")
    page.get_by_role("button", name="Show 74 images").click()
    until(page, "document.querySelector('.total')?.textContent.startsWith('74 ')")


def test_a_blind_sample_shows_no_score_and_ends_in_an_interval(page, serve, tmp_path):
    _, case = build(tmp_path, 40)
    server = serve(case)
    page.goto(server.url)
    page.goto(f"{server.base}/?view=sample")
    page.get_by_label("Images to draw").fill("4")
    page.get_by_role("button", name="Draw a sample").click()
    page.locator(".judging img").first.wait_for()
    for number, key in enumerate("0300", 1):
        shown = page.locator(".judging").inner_text()
        assert not re.search(r"0\.\d", shown)
        assert f"{number} / 4" in shown
        page.keyboard.press(key)
        until(
            page,
            "n => !document.querySelector('.judging .figure')?.textContent.startsWith(n + ' /')",
            number,
        )
    page.get_by_text("1 of 4 are relevant. Of 10 images").wait_for()
    with CaseStore.read(case) as store:
        assert store.samples()[0].missed.relevant == 1


def test_triage_may_go_on_meanwhile(page, serve, tmp_path):
    from review_samples import content, picture

    from mayak.case import Item

    _digests, case = build(tmp_path, 5)
    server = serve(case)
    page.goto(server.url)
    page.locator(".cell img").first.wait_for()
    with CaseStore.open(case, operator="triage") as store:
        late = content(picture(900))
        store.add_items(1, [Item("evidence/late.jpg", json.dumps({"late": 1}), late, size=1)])
        page.keyboard.press("1")
        page.get_by_role("button", name="1 new · show").wait_for()
    page.get_by_role("button", name="1 new · show").click()
    until(page, "document.querySelector('.total')?.textContent === '6 images'")


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 800), (3840, 2160)])
def test_from_phone_to_wall_nothing_is_cut_off(browser, many, serve, width, height):
    server = serve(many[1])
    with open_page(browser, viewport={"width": width, "height": height}) as page:
        page.goto(server.url)
        page.locator(".cell img").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert 0 < page.locator(".cell").count() < 100
        page.keyboard.press("End")
        until(
            page,
            "document.querySelector('.cell.current')?.ariaPosInSet ==="
            " document.querySelector('.cell.current')?.ariaSetSize",
        )
        page.keyboard.press("Enter")
        page.locator(".viewer .verdict").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("address", ["label=9", "state=odd", "sort=odd", "run=999", "similar=-1"])
def test_an_address_that_makes_no_sense_leaves_the_page_usable(page, many, serve, address):
    server = serve(many[1])
    page.goto(server.url)
    page.goto(f"{server.base}/?{address}", wait_until="domcontentloaded")
    page.locator(".chip, .notice.shown, .bar").first.wait_for()
    page.get_by_role("link", name="mayak").click()
    until(page, "document.querySelectorAll('.cell[data-sha256]').length > 3")


@pytest.mark.parametrize("name", ["odd", "__proto__", "constructor"])
def test_a_view_that_there_is_not_is_the_images(page, many, serve, name):
    server = serve(many[1])
    page.goto(server.url)
    page.goto(f"{server.base}/?view={name}", wait_until="domcontentloaded")
    until(page, "document.querySelectorAll('.cell[data-sha256]').length > 3")
