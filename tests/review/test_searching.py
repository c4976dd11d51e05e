"""Searching by a picture, over HTTP as the page does it."""

import base64

import pytest
from review_samples import build, picture

from mayak.case import CaseStore


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return build(tmp_path_factory.mktemp("searching"), 12)


@pytest.fixture(scope="module")
def server(made, serve):
    return serve(made[1])


def test_a_picture_finds_its_like_whatever_its_hash(server, made):
    other = base64.b64encode(picture(3) + b"other bytes, the same picture").decode()
    near = server.json("POST", "/api/search-image", {"data": other})["near"]
    found = server.json("GET", f"/api/select?near={near}&sort=near")
    cells = server.json("GET", f"/api/cells?token={found['token']}&start=0&count=9")["cells"]
    assert [cell["sha256"] for cell in cells] == [made[0][3]]


def test_a_picture_larger_than_other_requests_may_be_is_taken(server):
    data = base64.b64encode(picture(3) + bytes(2**20)).decode()
    assert server.json("POST", "/api/search-image", {"data": data})["near"]


def test_an_image_has_a_place_in_a_result(server, made):
    found = server.json("GET", f"/api/select?sort=found&stack=0&at={made[0][7]}")
    assert found["position"] == 7
    assert server.json("GET", f"/api/select?label=0&at={made[0][7]}")["position"] is None


def test_a_decision_names_images_of_the_case_or_nothing_is_decided(server, made):
    digests, case = made
    body = {"verdict": 1, "images": [digests[0], "0" * 64]}
    assert server.ask("POST", "/api/decide", body)[0] == 400
    assert server.ask("POST", "/api/decide", {"verdict": 4, "images": digests[:1]})[0] == 422
    assert server.ask("POST", "/api/decide", {"verdict": 1})[0] == 400
    gone = {"verdict": 1, "token": "gone", "ranges": [[0, 5]]}
    assert server.ask("POST", "/api/decide", gone)[0] == 400
    with CaseStore.read(case) as store:
        assert list(store.decisions()) == []


def test_ends_in_korean_where_korean_is_asked_for(server):
    _, _, body = server.ask("GET", "/api/select?label=9", Accept_Language="ko")
    assert "올바르지 않은 값입니다" in body.decode()


def test_a_page_begins_in_the_language_of_the_browser(server):
    for accepted, language in (("ko-KR,ko;q=0.9", "ko"), ("en-US", "en")):
        _, _, body = server.ask("GET", "/", Accept_Language=accepted)
        assert f'<html lang="{language}">' in body.decode()
