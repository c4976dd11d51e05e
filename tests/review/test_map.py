"""The map in a browser: what its clusters say is true, and its numbers are those of its images."""

import re

import pytest
from desk_browser import open_page, until
from review_samples import content as content_of
from review_samples import picture, scores

from mayak.case import CaseStore, Item
from mayak.types import Engine, EvidencePath, Prediction, Scores

ENGINE = Engine("nano", None, "fp32", "0" * 64, "1" * 64, (("torch", "2.11"),))

GANGNAM, ITAEWON, SUWON = (37.5118, 127.0592), (37.5345, 126.9946), (37.2636, 127.0286)
BANGKOK, LOS_ANGELES = (13.7563, 100.5018), (34.0522, -118.2437)
AMSTERDAM, SYDNEY = (52.3702, 4.8952), (-33.8688, 151.2093)
# Rounded to five digits, as the page once did, a box of these loses those at its border.
NEAR_GANGNAM = [(37.511834, 127.059166), (37.511766, 127.059234), (37.511801, 127.059201)]
TAKEN = [
    *[GANGNAM] * 4,
    *NEAR_GANGNAM,
    *[ITAEWON] * 2,
    *[SUWON] * 5,
    BANGKOK,
    LOS_ANGELES,
    AMSTERDAM,
    SYDNEY,
]


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Images taken in and around Seoul and abroad, and two that state no position."""
    folder = tmp_path_factory.mktemp("map") / "case"
    items, results = [], []
    for number, place in enumerate([*TAKEN, None, None]):
        metadata = {}
        if place is not None:
            latitude, longitude = place
            location = {"latitude": latitude, "longitude": longitude, "altitude": None}
            metadata = {"location": location}
        found = content_of(picture(number), metadata=metadata)
        name = f"IMG_{number:04}.jpg"
        path = EvidencePath("folder", "evidence").child("file", name)
        items.append(Item(f"evidence/{name}", path.to_json(), found, size=found.size))
        results.append(
            Prediction(found.sha256, Scores(scores(number), 0.01), False, ENGINE.fingerprint)
        )
    with CaseStore.create(folder, operator="maker") as store:
        store.add_items(store.add_source("evidence", "folder"), items)
        run = store.start_run(ENGINE)
        store.add_results(run, results)
        store.finish_run(run)
    return folder


@pytest.fixture(params=[(1280, 800), (390, 844)], ids=["desk", "phone"])
def page(request, browser, case, serve):
    """The map of the whole world, at rest."""
    width, height = request.param
    with open_page(browser, viewport={"width": width, "height": height}) as opened:
        opened.goto(serve(case).url)
        opened.goto(f"{serve(case).base}/?view=map")
        until(opened, SHOWN, 18)
        yield opened


SHOWN = "n => document.querySelector('.map-bar .primary')?.innerText === `Show ${n} images`"
SETTLED = "/^Show \\d/.test(document.querySelector('.map-bar .primary')?.innerText)"
TOTAL = "n => document.querySelector('.total')?.innerText.startsWith(`${n} `)"


def number(text):
    return int(re.search(r"\d+", text)[0])


def largest(page):
    return page.locator(".dot").first


def middle(locator):
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def zoom_in(page, times):
    """Turn the wheel over the largest cluster; each time the server is asked anew."""
    for _ in range(times):
        at = middle(largest(page))
        with page.expect_response(lambda answer: "/api/map?sight=" in answer.url):
            page.mouse.move(*at)
            page.mouse.wheel(0, -600)
        until(page, SETTLED)


def table(spot):
    names = spot.locator("li span:first-child").all_inner_texts()
    return dict(zip(names, spot.locator("li .figure").all_inner_texts(), strict=True))


def test_a_cluster_of_several_districts_names_them_and_shows_its_images(page):
    assert "2 without a position" in page.locator(".map-bar").inner_text()
    largest(page).click()
    spot = page.get_by_role("dialog")
    spot.locator("li").first.wait_for()
    districts = table(spot)
    # On a phone the world is so small that one more is in it: Bangkok.
    abroad = districts.pop("outside Korea or at sea", "0")
    assert districts == {
        "서울특별시 강남구": "7",
        "경기도 수원시 팔달구": "5",
        "서울특별시 용산구": "2",
    }
    more = 2 + int(abroad)
    assert spot.locator("b").inner_text() == f"서울특별시 강남구 and {more} more"
    count = 14 + int(abroad)
    assert sum(map(number, spot.locator(".label").all_inner_texts())) == count
    spot.get_by_role("button", name=f"Show {count} images").click()
    until(page, TOTAL, count)
    assert page.locator(".cell").first.get_attribute("aria-setsize") == str(count)


def test_nearer_the_clusters_are_those_of_the_part_in_sight(page):
    zoom_in(page, 5)
    counts = [number(dot.get_attribute("aria-label")) for dot in page.locator(".dot").all()]
    assert counts[0] == 7
    assert sum(counts) == number(page.locator(".map-bar .primary").inner_text()) < 14
    largest(page).click()
    spot = page.get_by_role("dialog")
    spot.get_by_text("서울특별시 강남구", exact=True).wait_for()
    assert "4 different positions" in spot.inner_text()
    spot.get_by_role("button", name="Show 7 images").click()
    # Three of them are at the border of the cluster: rounded, its box would lose them.
    until(page, TOTAL, 7)


def test_the_bar_shows_the_images_in_sight(page):
    zoom_in(page, 3)
    button = page.locator(".map-bar .primary")
    count = number(button.inner_text())
    assert 7 <= count <= 14
    button.click()
    until(page, TOTAL, count)


def test_the_pop_up_is_closed_by_its_button_by_escape_and_by_a_click_elsewhere(page):
    spot = page.get_by_role("dialog")
    for close in (
        lambda: spot.get_by_role("button", name="Close").click(),
        lambda: page.keyboard.press("Escape"),
        lambda: page.locator(".sheet").click(position={"x": 330, "y": 20}),
    ):
        largest(page).click()
        spot.locator("li").first.wait_for()
        close()
        spot.wait_for(state="detached")


def test_one_image_has_its_position_and_keys_open_and_close_it(page):
    dot = page.get_by_role("button", name="1 image, 52.37020, 4.89520")
    dot.focus()
    page.keyboard.press("Enter")
    spot = page.get_by_role("dialog")
    spot.get_by_text("outside Korea or at sea").wait_for()
    assert "52.37020, 4.89520" in spot.inner_text()
    page.keyboard.press("Enter")  # the button that closes has the focus
    spot.wait_for(state="detached")
    assert dot.evaluate("dot => dot === document.activeElement")


def test_pulling_the_map_opens_nothing(page):
    x, y = middle(largest(page))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 60, y + 30, steps=4)
    page.mouse.up()
    until(page, SETTLED)
    assert page.get_by_role("dialog").count() == 0
    largest(page).click()
    page.get_by_role("dialog").wait_for()


def test_a_box_from_the_map_selects_exactly_its_images(case, serve):
    server = serve(case)
    for sight in ("", "&sight=37.4,126.9,37.6,127.1,0.001", "&sight=33,125,39,130,0.2"):
        found = server.json("GET", f"/api/map?sort=first{sight}")
        assert sum(cluster["count"] for cluster in found["clusters"]) == found["count"] > 0
        for part in (found, *found["clusters"]):
            box = ",".join(map(repr, part["box"]))
            assert server.json("GET", f"/api/select?box={box}")["total"] == part["count"]
            regions = server.json("GET", f"/api/regions?box={box}")["regions"]
            assert sum(count for _, count in regions) == part["count"]
