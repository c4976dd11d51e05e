"""What is typed is what is recorded, in a real browser, with answers that come late."""

import random
import time
from pathlib import Path

import pytest
from acting import LATE, PATIENCE, at_rest, current, decisions, grid
from desk_browser import until
from review_samples import build

SEQUENCES = (Path(__file__).parent / "act_sequences.js").read_text(encoding="utf-8")
SEQUENCES = SEQUENCES[SEQUENCES.index("async (") :]


@pytest.fixture
def made(tmp_path, serve):
    digests, case = build(tmp_path, 24, stack=4)
    yield digests, case
    serve.end(case)


@pytest.mark.parametrize("failing", [False, True])
def test_a_thousand_random_sequences_record_what_was_typed(page, made, serve, failing):
    page.goto(serve(made[1]).url)
    found = page.evaluate(SEQUENCES, [1, 1000, failing])
    assert found["wrong"] == []
    assert found["pressed"] > 15000
    assert found["recorded"] + found["lost"] + found["ignored"] == found["pressed"]
    assert found["recorded"] > found["pressed"] / 2
    assert bool(found["lost"]) == failing


def withdraw_all(server):
    while server.json("POST", "/api/undo", {})["verdicts"]:
        pass


@pytest.mark.parametrize("how", ["grid", "opened"])
def test_what_is_typed_in_grid_and_viewer_is_what_is_recorded(page, many, serve, how):
    digests, case = many
    server = serve(case, "typist")
    for number in range(10):
        dice = random.Random(number)
        grid(page, server, f"/?stack=0&sort=found{'&open=1' if how == 'opened' else ''}")
        if how == "opened":
            until(page, "document.querySelector('.lying img')?.naturalWidth > 0")
        gap = dice.choice([0, 0.04, 0.1, 0.2])
        page.evaluate("most => (window.late.most = most)", dice.choice([0, 150, 400]))
        place, typed = 0, []
        for _ in range(14):
            what = dice.random()
            if what < 0.65:
                verdict = dice.randrange(4)
                page.keyboard.down(f"Digit{verdict}")
                if dice.random() < 0.3:
                    for _ in range(5):
                        page.keyboard.down(f"Digit{verdict}")
                page.keyboard.up(f"Digit{verdict}")
                typed.append((place, verdict))
                place += 1
            elif what < 0.8:
                page.keyboard.press("ArrowRight")
                place += 1
            elif what < 0.85 and place:
                page.keyboard.press("ArrowLeft")
                place -= 1
            elif what < 0.9 and how == "grid":
                place = dice.randrange(8)
                page.locator(f"#cell-{place}").click()
            elif typed:
                page.keyboard.press("Backspace")
                place, _ = typed.pop()
            time.sleep(gap)
        at_rest(page)
        assert page.locator("dialog[open]").count() == 0
        found = decisions(case, "typist")
        recorded = [(row.sha256, row.verdict) for row in found]
        assert recorded == [(digests[at], verdict) for at, verdict in typed], number
        assert {row.seen for row in found} == {(how, True)}
        current(page, digests[place])
        withdraw_all(server)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return build(tmp_path_factory.mktemp("acts"), 200)


def test_what_is_typed_in_a_blind_sample_is_what_is_recorded(page, tmp_path, serve):
    _, case = build(tmp_path, 80)
    server = serve(case)
    page.goto(server.url)
    for number in range(10):
        dice = random.Random(number)
        page.goto(f"{server.base}/?view=sample")
        page.get_by_label("Images to draw").fill("9")
        page.get_by_role("button", name="Draw a sample").click()
        page.locator(".judging img").first.wait_for()
        page.evaluate(LATE)
        page.evaluate(PATIENCE, 600_000)
        page.evaluate("most => (window.late.most = most)", dice.choice([0, 150, 400]))
        gap = dice.choice([0, 0.04, 0.1, 0.2])
        sample = server.json("GET", "/api/samples")["samples"][-1]["id"]
        items = [item["sha256"] for item in server.json("GET", f"/api/samples/{sample}")["items"]]
        place, typed = 0, []
        for _ in range(8):
            if typed and dice.random() < 0.2:
                page.keyboard.press("Backspace")
                place, _ = typed.pop()
            verdict = dice.randrange(4)
            page.keyboard.down(str(verdict))
            page.keyboard.down(str(verdict))
            page.keyboard.up(str(verdict))
            typed.append((place, verdict))
            place += 1
            time.sleep(gap)
        at_rest(page)
        judged = [row for row in decisions(case) if row.sample == sample]
        assert [(row.sha256, row.verdict) for row in judged] == [
            (items[at], verdict) for at, verdict in typed
        ]
        assert {row.seen for row in judged} == {("opened", True)}
        withdraw_all(server)
