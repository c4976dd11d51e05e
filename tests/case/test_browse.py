"""Which contents a filter gives, in which order, and that the columns follow the case."""

import dataclasses
import json

import pytest

from case_samples import ENGINE, content, digest, item
from mayak.case import Alert, CaseStore, Exclusion, Filter, Item, latest
from mayak.errors import CaseError, IntegrityError
from mayak.types import Failure, Prediction, Scores

SCORES = {
    "a": (0.7, 0.1, 0.1, 0.1),
    "b": (0.1, 0.6, 0.2, 0.1),
    "c": (0.4, 0.05, 0.5, 0.05),
    "d": (0.02, 0.03, 0.05, 0.9),
}


def stated(**metadata):
    return json.loads(json.dumps(metadata))


@pytest.fixture
def store(tmp_path):
    with CaseStore.create(tmp_path / "case", operator="kim") as opened:
        source = opened.add_source("phone.zip", "zip")
        opened.add_items(
            source,
            [
                item("DCIM/a.jpg", content("a", metadata={}, pdq=bytes(32))),
                item(
                    "DCIM/Camera/b.jpg",
                    content(
                        "b",
                        pdq=b"\x01" + bytes(31),
                        metadata=stated(
                            taken="2026-03-02 10:00:00+09:00",
                            make="Maker",
                            model="One",
                            location={"latitude": 37.5, "longitude": 127.0, "altitude": None},
                        ),
                    ),
                    deleted=True,
                ),
                item("Pictures/한글.jpg", content("c", pdq=b"\xff" * 32, metadata={})),
                item("Pictures/IMG_d.jpg", content("d", pdq=None, pdq_quality=None, metadata={})),
                item("broken.jpg", Failure("broken.jpg", "decode", "DecodeError", "not an image")),
                item("icon.png", Exclusion("too-small", "16 × 16 pixels")),
            ],
        )
        run = opened.start_run(ENGINE)
        opened.add_results(
            run,
            [
                Prediction(digest(n), Scores(s, 0.01), False, ENGINE.fingerprint)
                for n, s in SCORES.items()
            ],
        )
        alike = [[digest("a"), digest("b")]]
        opened.set_groups(alike, distance=31, stacks=alike, stack_distance=10)
        opened.add_alerts([Alert(digest("c"), "known", "0" * 64, "md5")])
        yield opened


@pytest.fixture
def browser(store):
    with CaseStore.read(store.folder) as reading:
        found = reading.browse("kim", distance=31)
        found.refresh()
        yield found


def names(browser, selection):
    known = {digest(name): name for name in "abcdefgh"}
    return "".join(known[c.sha256] for c in browser.cells(selection, 0, 100))


def test_what_to_see_first_is_what_triage_shows_first(store, browser):
    assert names(browser, browser.select(Filter(), "first")) == "cdba"
    assert [r.sha256 for r in store.results(1, limit=9)] == [digest(n) for n in "cdba"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(labels=frozenset({0, 3})), "ad"),
        (Filter(score=(0.6, 0.7)), "ab"),
        (Filter(margin=(0.0, 0.2)), "c"),
        (Filter(off_label=0.005), "abcd"),
        (Filter(off_label=0.02), ""),
        (Filter(folder="phone.zip/DCIM"), "ab"),
        (Filter(folder="phone.zip/DCIM/Camera"), "b"),
        (Filter(folder="phone.zip/DC"), ""),
        (Filter(source=1), "abcd"),
        (Filter(source=2), ""),
        (Filter(camera="Maker One"), "b"),
        (Filter(camera=""), "acd"),
        (Filter(camera="Nobody"), ""),
        (Filter(box=(37, 126, 38, 128)), "b"),
        (Filter(box=(37, 170, 38, 128)), "b"),
        (Filter(box=(37, 128, 38, 126)), ""),
        (Filter(located=False), "acd"),
        (Filter(deleted=True), "b"),
        (Filter(deleted=False), "acd"),
        (Filter(alert=True), "c"),
        (Filter(failed=True), ""),
        (Filter(text="한글"), "c"),
        (Filter(text="img_D"), "d"),
        (Filter(text="pictures/IMG"), "d"),
        (Filter(text="ictures"), "cd"),
        (Filter(text=digest("b")), "b"),
        (Filter(text=digest("b")[:32].upper()), "b"),
        (Filter(text="zz"), ""),
        (Filter(near=bytes(32)), "ab"),
        (Filter(group=1), "ab"),
        (Filter(similar=1), "ab"),
        (Filter(group=0), ""),
        (Filter(similar=2), ""),
        (Filter(labels=frozenset({1}), deleted=True), "b"),
        (Filter(labels=frozenset({1}), deleted=False), ""),
    ],
)
def test_a_filter_gives_what_fits(browser, wanted, found):
    assert names(browser, browser.select(wanted, "found")) == found


def test_a_name_of_macos_is_found_as_it_is_typed(store, browser):
    parted = "\u1112\u1161\u11ab\u1100\u1173\u11af 2.jpg"
    store.add_items(1, [item(parted, content("e"))])
    browser.refresh()
    assert names(browser, browser.select(Filter(text="한글 2"), "found")) == "e"


def test_the_clock_of_the_camera_counts_as_it_stands(browser):
    from mayak.case.index import UNKNOWN_TIME

    noon = 1772445600  # 2026-03-02 10:00:00 on whatever clock
    assert names(browser, browser.select(Filter(since=noon, until=noon + 1), "newest")) == "b"
    assert (browser.index.time == UNKNOWN_TIME).sum() == 3
    assert names(browser, browser.select(Filter(), "newest"))[0] == "b"
    assert names(browser, browser.select(Filter(), "oldest"))[0] == "b"


def test_facets_count_what_another_value_would_give(browser):
    facets = browser.select(Filter(labels=frozenset({3}), deleted=False), "first").facets
    assert facets["label"] == {"-1": 0, "0": 1, "1": 0, "2": 1, "3": 1}
    assert facets["flags"] == {"deleted": 0, "alert": 0, "failed": 0, "located": 0}
    assert facets["folder"] == [["phone.zip/Pictures", 1]]


def test_stacks_show_the_first_and_stand_for_what_the_result_holds(browser):
    both = browser.select(Filter(), "found", stacked=True)
    assert names(browser, both) == "acd"
    assert list(both.members) == [2, 1, 1]
    assert browser.expand(both, [(0, 1)]) == [digest("a"), digest("b")]
    assert browser.position(both, digest("b")) == 0
    one = browser.select(Filter(deleted=True), "found", stacked=True)
    assert browser.expand(one, [(0, 9)]) == [digest("b")]


@pytest.fixture
def alike(store, browser):
    """Eight contents: a, c, e, g are alike, a and e the same picture; b, d, f, h too, f and h of
    one stack. In this order."""
    store.add_items(1, [item(f"{n}.jpg", content(n, metadata={})) for n in "efgh"])
    first, second = [[digest(n) for n in names] for names in ("aceg", "bdfh")]
    store.set_groups(
        [first, second],
        distance=31,
        stacks=[[digest("a"), digest("e")], [digest("f"), digest("h")]],
        stack_distance=10,
    )
    browser.refresh()
    return browser


def test_what_is_alike_comes_together_and_only_the_same_picture_is_one_cell(alike):
    found = alike.select(Filter(), "found", stacked=True)
    cells = alike.cells(found, 0, 9)

    assert names(alike, found) == "acgbdf"
    assert [cell.members for cell in cells] == [2, 1, 1, 1, 1, 2]
    assert [cell.group for cell in cells] == [1, 0, 0, 0, 0, 2]
    assert [cell.similar for cell in cells] == [2, 3, 3, 3, 3, 2]
    assert [cell.similar_group for cell in cells] == [1, 1, 1, 2, 2, 2]
    assert alike.expand(found, [(0, 2)]) == [digest(n) for n in "aec"]
    assert [alike.position(found, digest(n)) for n in "acegbdfh"] == [0, 1, 0, 2, 3, 4, 5, 5]
    assert (found.total, len(found.order)) == (8, 6)
    assert names(alike, alike.select(Filter(), "found")) == "abcdefgh"
    assert (alike.group(digest("e")), alike.similar(digest("e"))) == ((1, 2), (1, 2))
    assert (alike.group(digest("c")), alike.similar(digest("c"))) == ((0, 0), (1, 3))


def test_a_filter_leaves_of_a_stack_what_it_lets_through(alike):
    found = alike.select(Filter(text="e.jpg"), "found", stacked=True)
    (cell,) = alike.cells(found, 0, 9)

    assert (cell.sha256, cell.members, cell.group, cell.similar) == (digest("e"), 1, 1, 2)
    assert alike.expand(found, [(0, 9)]) == [digest("e")]
    assert alike.position(found, digest("a")) is None


def test_a_stack_in_part_decided_counts_as_open(store, alike):
    found = alike.select(Filter(), "found", stacked=True)

    def states():
        alike.refresh()
        return [(c.verdict, c.decided, c.members) for c in alike.cells(found, 0, 9)]

    store.decide("kim", {digest(n): 3 for n in "acgbdf"})  # the first of each cell
    assert states() == [(-1, 1, 2), *[(3, 1, 1)] * 4, (-1, 1, 2)]
    assert [alike.open_after(found, at) for at in range(7)] == [0, 5, 5, 5, 5, 5, 0]
    store.decide("kim", {digest("h"): 0})
    assert states()[5] == (-1, 2, 2)
    assert [alike.open_after(found, at) for at in (0, 1)] == [0, 0]
    store.decide("kim", {digest("h"): 3, digest("e"): 3})
    assert {verdict for verdict, _, _ in states()} == {3}
    assert alike.open_after(found, 0) is None
    store.decide("lee", {digest("e"): 1})
    assert states()[0] == (3, 2, 2)
    assert [cell.differs for cell in alike.cells(found, 0, 2)] == [True, False]


def test_an_alert_of_a_copy_shows_on_its_stack(store, alike):
    store.add_alerts([Alert(digest("h"), "known", "0" * 64, "md5")])
    alike.refresh()
    found = alike.select(Filter(), "found", stacked=True)
    assert [cell.alert for cell in alike.cells(found, 0, 9)] == [False, True, *[False] * 3, True]


def test_a_result_keeps_its_stacks_when_the_case_is_grouped_anew(store, alike):
    found = alike.select(Filter(), "found", stacked=True)
    store.set_groups(
        [[digest(n) for n in "abcdefgh"]],
        distance=31,
        stacks=[[digest(n) for n in "abcdh"]],
        stack_distance=10,
    )
    alike.refresh()

    assert names(alike, found) == "acgbdf"
    assert [cell.members for cell in alike.cells(found, 0, 9)] == [2, 1, 1, 1, 1, 2]
    assert alike.expand(found, [(0, 1)]) == [digest("a"), digest("e")]
    assert alike.expand(found, [(5, 6)]) == [digest("f"), digest("h")]
    assert alike.position(found, digest("h")) == 5
    assert names(alike, alike.select(Filter(), "found", stacked=True)) == "aefg"


def test_a_grouping_of_an_earlier_version_stacks_nothing(store, alike):
    store.set_groups([[digest(n) for n in "acd"]], distance=31)
    alike.refresh()
    found = alike.select(Filter(), "found", stacked=True)

    assert names(alike, found) == "acdbefgh"
    assert [cell.members for cell in alike.cells(found, 0, 9)] == [1] * 8
    assert [cell.similar for cell in alike.cells(found, 0, 4)] == [2, 2, 2, 0]
    assert alike.expand(found, [(0, 1)]) == [digest("a")]


@pytest.mark.parametrize("number", [2**40, 2**31 - 1, -1])
def test_a_group_with_a_number_that_none_can_have_is_refused(store, alike, number):
    with store._database.batch("group") as batch:
        grouping = batch.add("groupings", distance=31, stack_distance=10)
        for name in "ab":
            values = {"number": number, "stack": number if number > 0 else None}
            batch.add("group_members", grouping=grouping, content=digest(name), **values)
    with pytest.raises(IntegrityError, match="group_members cannot be read"):
        alike.refresh()


def test_the_columns_follow_the_case(store, browser):
    before = browser.select(Filter(), "found")
    store.add_items(1, [item("late.jpg", content("e")), item("copy.jpg", content("a"))])
    store.add_results(
        1, [Prediction(digest("e"), Scores((0, 0, 0, 1), 0), False, ENGINE.fingerprint)]
    )
    store.revise_items(1, [item("icon.png", content("f"))])
    later = [[digest("c"), digest("d")]]
    store.set_groups(later, distance=31, stacks=later, stack_distance=10)
    assert browser.refresh()
    assert not browser.refresh()
    assert names(browser, before) == "abcd"
    assert names(browser, browser.select(Filter(), "found")) == "abcdfe"
    assert names(browser, browser.select(Filter(labels=frozenset({3})), "found")) == "de"
    assert names(browser, browser.select(Filter(labels=frozenset({-1})), "found")) == "f"
    assert names(browser, browser.select(Filter(text="copy"), "found")) == "a"
    assert names(browser, browser.select(Filter(group=1), "found")) == "cd"
    assert browser.rejected(None, None, None, "", 0, 9)["reasons"] == [
        ("failure", "DecodeError", 1)
    ]


def test_decisions_of_all_reviewers_show_and_go_when_undone(store, browser):
    store.decide("kim", {digest("a"): 0, digest("b"): 3})
    store.decide("lee", {digest("b"): 2})
    browser.refresh()
    cells = {c.sha256: c for c in browser.cells(browser.select(Filter(), "found"), 0, 9)}
    assert [cells[digest(n)].verdict for n in "abcd"] == [0, 3, -1, -1]
    assert cells[digest("b")].differs
    assert not cells[digest("a")].differs
    assert names(browser, browser.select(Filter(state="open"), "found")) == "cd"
    assert names(browser, browser.select(Filter(state="differing"), "found")) == "b"
    assert names(browser, browser.select(Filter(verdicts=frozenset({0})), "found")) == "a"
    everything = browser.select(Filter(), "found")
    assert [browser.open_after(everything, at) for at in (0, 2, 3, 4)] == [2, 2, 3, 2]
    store.undo("kim")
    browser.refresh()
    assert names(browser, browser.select(Filter(state="decided"), "found")) == ""
    assert browser.progress()["decided"] == 0


def test_another_browser_starts_from_what_stands(store):
    store.decide("kim", {digest("a"): 1})
    store.decide("kim", {digest("a"): 2})
    store.undo("kim")
    with CaseStore.read(store.folder) as reading:
        browser = reading.browse("kim", distance=31)
        browser.refresh()
        assert browser.verdict(digest("a")) == 1
        assert browser.progress() == {
            "version": 1,
            "contents": 4,
            "scored": 4,
            "items": 6,
            "failures": 1,
            "exclusions": 1,
            "decided": 1,
        }


def test_an_empty_case_has_nothing_to_show(tmp_path):
    with CaseStore.create(tmp_path / "case", operator="kim") as store:
        browser = store.browse("kim", distance=31)
        browser.refresh()
        for wanted in (Filter(), Filter(text="x"), Filter(near=bytes(32)), Filter(folder="x")):
            assert browser.select(wanted, "first", stacked=True).total == 0
        assert browser.timeline(Filter())["bins"] == []
        assert browser.map(Filter())["clusters"] == []
        assert browser.rejected(None, None, None, "x", 0, 9)["total"] == 0


def test_timeline_and_map_count_every_image_once(browser):
    timeline = browser.timeline(Filter())
    assert (sum(map(sum, (b[1:] for b in timeline["bins"]))), timeline["unknown"]) == (1, 3)
    found = browser.map(Filter())
    (cluster,) = found["clusters"]
    assert (cluster["at"], cluster["count"], cluster["labels"]) == (
        (37.5, 127.0),
        1,
        (0, 0, 1, 0, 0),
    )
    assert found["unknown"] == 3


def test_each_run_is_seen_by_itself(store):
    other = dataclasses.replace(ENGINE, adapter="f" * 64)
    with CaseStore.read(store.folder) as reading:
        browser = reading.browse("kim", distance=31)
        browser.refresh()
        (first,) = (run.id for run in browser.runs)
        assert browser.run == first
        second = store.start_run(other)
        scores = {"a": (0.0, 0.0, 0.0, 1.0), "b": (1.0, 0.0, 0.0, 0.0)}
        store.add_results(
            second,
            [
                Prediction(digest(n), Scores(s, 0.01), False, other.fingerprint)
                for n, s in scores.items()
            ],
            {digest("c"): Failure("c", "classify", "ModelError", "no")},
        )
        browser.refresh()
        assert [run.id for run in browser.runs] == [first, second]

        def facets(run):
            return browser.select(Filter(run=run), "first").facets

        assert facets(None)["label"] == {"-1": 0, "0": 1, "1": 1, "2": 1, "3": 1}
        assert facets(second)["label"] == {"-1": 2, "0": 1, "1": 0, "2": 0, "3": 1}
        assert facets(second)["flags"]["failed"] == 1
        assert facets(first) == facets(None)
        seen = browser.select(Filter(run=second, labels=frozenset({3})), "first")
        assert [cell.sha256 for cell in browser.cells(seen, 0, 9)] == [digest("a")]
        assert browser.progress(second)["scored"] == 2
        with pytest.raises(CaseError, match="no run 9"):
            browser.select(Filter(run=9), "first")
        scored = Scores((1.0, 0.0, 0.0, 0.0), 0.01)
        store.add_results(second, [Prediction(digest("c"), scored, False, other.fingerprint)])
        browser.refresh()
        assert facets(second)["flags"]["failed"] == 0
        assert [run.failures for run in store.runs()] == [0, 0]


def test_an_unfinished_run_is_not_shown_before_a_finished_one(store):
    (first,) = store.runs()
    store.finish_run(first.id)
    store.start_run(dataclasses.replace(ENGINE, adapter="f" * 64))
    assert latest(store.runs()).id == first.id
    assert latest(store.runs()[1:]).id == first.id + 1
    assert latest([]) is None


def test_files_without_an_image_are_counted_and_chosen_by_their_kind(tmp_path):
    with CaseStore.create(tmp_path / "case", operator="a") as store:
        source = store.add_source("phone", "folder")
        kinds = ["SQLite", "SQLite", "KTX", None]
        store.add_items(
            source,
            [
                Item(
                    f"{n}",
                    f'[{{"kind":"file","name":"{n}"}}]',
                    Failure(f"{n}", "read", "NotOpened", "-", kind=kind),
                )
                for n, kind in enumerate(kinds)
            ],
        )
        store.revise_items(
            source,
            [Item("0", '[{"kind":"file","name":"0"}]', Exclusion("known-safe", "-", "SQLite"))],
        )
    with CaseStore.read(tmp_path / "case") as store:
        browser = store.browse("b", distance=31)
        browser.refresh()
        found = browser.rejected(None, None, None, "", 0, 9)
        assert found["reasons"] == [("failure", "NotOpened", 3), ("exclusion", "known-safe", 1)]
        assert set(found["kinds"]) == {
            ("failure", "NotOpened", "SQLite", 1),
            ("failure", "NotOpened", "KTX", 1),
            ("failure", "NotOpened", "", 1),
            ("exclusion", "known-safe", "SQLite", 1),
        }
        chosen = browser.rejected("failure", "NotOpened", "KTX", "", 0, 9)
        assert [item.display for item in chosen["items"]] == ["2"]
        chosen = browser.rejected("failure", None, "", "", 0, 9)
        assert [item.display for item in chosen["items"]] == ["3"]
