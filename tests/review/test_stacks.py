"""Stacks over HTTP, as the page asks for them."""

import pytest
from review_samples import build

from mayak.case import CaseStore


@pytest.fixture
def made(tmp_path):
    return build(tmp_path, 8, stack=4)


@pytest.fixture
def server(made, serve):
    return serve(made[1])


def cells(server, token):
    return server.json("GET", f"/api/cells?token={token}&start=0&count=99")["cells"]


def test_a_stack_of_which_one_image_is_decided_says_so_and_is_the_next_open_one(server, made):
    digests, _ = made
    token = server.json("GET", "/api/select?sort=found")["token"]
    server.json("POST", "/api/decide", {"verdict": 0, "images": digests[:5]})

    stack = cells(server, token)[4]
    assert (stack["sha256"], stack["verdict"]) == (digests[4], -1)
    assert (stack["decided"], stack["members"], stack["similar"]) == (1, 4, 0)
    assert server.json("GET", f"/api/open?token={token}&start=0")["position"] == 4
    facts = server.json("GET", f"/api/content/{digests[4]}")
    assert (facts["group"], facts["similar"]) == ([1, 4], [1, 0])

    whole = {"verdict": 0, "token": token, "ranges": [[4, 5]]}
    assert set(server.json("POST", "/api/decide", whole)["images"]) == set(digests[4:])
    stack = cells(server, token)[4]
    assert (stack["verdict"], stack["decided"]) == (0, 4)
    assert server.json("GET", f"/api/open?token={token}&start=0")["position"] is None


def test_what_is_decided_is_what_the_stack_held_when_it_was_shown(server, made):
    digests, case = made
    token = server.json("GET", "/api/select?sort=found")["token"]
    with CaseStore.review(case, operator="triage") as store:
        stacks = [sorted(digests)]
        store.set_groups(stacks, distance=31, stacks=stacks, stack_distance=10)
    server.json("GET", "/api/select?sort=found")  # reads what is new

    whole = {"verdict": 3, "token": token, "ranges": [[4, 5]]}
    server.json("POST", "/api/decide", whole)

    with CaseStore.read(case) as store:
        assert set(store.decided()) == set(digests[4:])


def test_similar_images_are_asked_for_by_their_group(server, made):
    digests, case = made
    with CaseStore.review(case, operator="triage") as store:
        store.set_groups([sorted(digests[:3])], distance=31, stack_distance=10)

    found = server.json("GET", "/api/select?sort=found")
    shown = cells(server, found["token"])
    assert [(cell["members"], cell["similar"]) for cell in shown] == [(1, 2)] * 3 + [(1, 0)] * 5
    found = server.json("GET", f"/api/select?similar={shown[0]['similar_group']}&stack=0")
    assert {cell["sha256"] for cell in cells(server, found["token"])} == set(digests[:3])


def test_a_case_grouped_by_an_earlier_version_is_named_at_the_start(made, serve):
    digests, case = made
    server = serve(case)
    server.stop()
    assert "earlier version" not in server.log.read_text(encoding="utf-8")

    with CaseStore.review(case, operator="triage") as store:
        store.set_groups([sorted(digests)], distance=31)
    server = serve(case, "lee")
    assert "an earlier version of mayak grouped this case" in server.log.read_text(encoding="utf-8")
