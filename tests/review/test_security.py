"""Who the desk answers, and that it says whom it refused."""

import json
import re
import socket

import psutil
import pytest
from review_samples import build

from mayak.case import CaseStore


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return build(tmp_path_factory.mktemp("security"), 6)


@pytest.fixture(scope="module")
def server(made, serve):
    return serve(made[1])


def verdict(digest):
    return {"verdict": 1, "images": [digest]}


def test_the_page_and_its_parts_come_with_the_token(server):
    for path in ("/", "/static/app.js", "/static/vendor/preact.js", "/font/Regular", "/api/status"):
        status, headers, body = server.ask("GET", path)
        assert (status, bool(body)) == (200, True)
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"


def test_the_printed_address_gives_a_cookie_that_no_script_and_no_other_site_gets(server):
    status, headers, _ = server.ask("GET", f"/?token={server.token}", Cookie=None)
    assert status == 303
    assert headers["location"] == "/"
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_a_file_of_the_user_may_lead_to_the_page_with_the_token_alone(server):
    # To the browser a file is another site: the cookie would be held back after a redirect.
    for path in (f"/?token={server.token}", f"/?label=3&token={server.token}"):
        status, headers, _ = server.ask("GET", path, Cookie=None, Sec_Fetch_Site="cross-site")
        assert (status, headers["refresh"]) == (200, "0; url=/")
        assert "SameSite=Strict" in headers["set-cookie"]
    for path in ("/", "/?token=wrong", f"/api/status?token={server.token}"):
        status, headers, _ = server.ask("GET", path, Sec_Fetch_Site="cross-site")
        assert status == 403
        assert "set-cookie" not in headers


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {"Cookie": None}, 401),
        ("GET", "/?token=wrong", {"Cookie": None}, 401),
        ("GET", "/api/status", {"Cookie": None}, 401),
        ("GET", "/static/app.js", {"Cookie": None}, 401),
        ("GET", "/", {"Host": "evil.example"}, 421),
        ("GET", "/", {"Host": "127.0.0.1"}, 421),
        ("GET", "/api/status", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("DELETE", "/api/status", {}, 405),
        ("POST", "/api/decide", {"Origin": None}, 403),
        ("POST", "/api/decide", {"Origin": "http://evil.example"}, 403),
        ("POST", "/api/decide", {"Origin": "null"}, 403),
        ("POST", "/api/decide", {"Content-Type": "text/plain"}, 415),
        ("POST", "/api/decide", {"Content-Type": None}, 415),
        ("POST", "/api/decide", {"Cookie": None}, 401),
        ("POST", "/api/decide", {"Content-Length": "999999999"}, 413),
    ],
)
def test_what_does_not_come_from_the_page_is_refused_and_told(
    server, made, method, path, headers, status
):
    before = server.log.read_text(encoding="utf-8").count("refused")
    body = verdict(made[0][0]) if method == "POST" else None
    assert server.ask(method, path, body, **headers)[0] == status
    log = server.log.read_text(encoding="utf-8")
    assert log.count("refused") == before + 1
    assert server.token not in log
    assert server.json("GET", "/api/status")["decided"] == 0


def test_a_korean_reader_reads_in_korean_why_a_request_is_refused(server):
    for method, headers in (
        ("GET", {"Host": "evil.example"}),
        ("GET", {"Sec-Fetch-Site": "cross-site"}),
        ("DELETE", {}),
        ("POST", {"Origin": "null"}),
        ("POST", {"Content-Type": "text/plain"}),
        ("POST", {"Content-Length": "999999999"}),
    ):
        asked = headers | {"Accept-Language": "ko"}
        body = json.loads(server.ask(method, "/api/status", **asked)[2])
        assert re.match("거부되었습니다: .*[가-힣]", body["message"])
        assert not re.search("[a-z]{3} [a-z]", body["message"])


def test_refusals_are_in_the_cases_log(server, made):
    server.ask("GET", "/secret", Cookie=None)
    server.json("GET", "/api/status")
    with CaseStore.read(made[1]) as store:
        refused = [entry.detail["request"] for entry in store.log() if "refuse" in entry.action]
    assert any("/secret" in request for request in refused)


def test_a_body_without_a_stated_length_is_cut_off_too(server):
    lines = (
        "POST /api/decide HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        f"Cookie: mayak-{server.port}={server.token}",
        f"Origin: {server.base}",
        "Content-Type: application/json",
        "Transfer-Encoding: chunked",
        "",
        "",
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall("\r\n".join(lines).encode())
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        try:
            for _ in range(40):
                connection.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert b" 413 " in connection.recv(200)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2f..%2fcase%2fstore.py",
        "/static//etc/passwd",
        "/thumb/../case.sqlite",
        "/thumb/%2e%2e%2fcase.sqlite",
        "/thumb/" + "a" * 63,
        "/thumb/" + "A" * 64,
        "/image/..%2f..%2fetc%2fpasswd",
        "/font/../../case.sqlite",
        "/case.sqlite",
    ],
)
def test_no_path_leads_out(server, path):
    status, _, body = server.ask("GET", path)
    assert status in (404, 422)
    assert b"import" not in body
    assert b"root:" not in body
    assert b"SQLite" not in body


def test_only_loopback_listens(server):
    listening = psutil.Process(server.process.pid).net_connections()
    assert [connection.laddr.ip for connection in listening if not connection.raddr] == [
        "127.0.0.1"
    ]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/select?label=9", 400),
        ("/api/select?score=nan,1", 400),
        ("/api/select?near=zz", 400),
        ("/api/select?sort=;DROP", 400),
        ("/api/select?from=yesterday", 400),
        ("/api/select?q=%27%3B%20DROP%20TABLE%20contents%3B--", 200),
        ("/api/cells?token=gone&start=0&count=10", 410),
        ("/api/content/" + "0" * 64, 400),
    ],
)
def test_addresses_that_make_no_sense_say_so(server, path, status):
    found, _, body = server.ask("GET", path)
    assert found == status
    assert json.loads(body)


HUGE = [2**63, -(2**63) - 1, 10**30, "1e308", "nan", "9" * 4000, "x"]


@pytest.mark.parametrize("value", HUGE)
def test_a_number_out_of_range_is_refused_and_never_a_fault(server, made, value):
    digest = made[0][0]
    token = server.json("GET", "/api/select")["token"]
    filters = (
        "label",
        "verdict",
        "score",
        "margin",
        "off",
        "source",
        "box",
        "from",
        "group",
        "run",
    )
    for path in (
        "/api/status?run={}",
        f"/api/cells?token={token}&start={{}}&count=1",
        f"/api/cells?token={token}&start=0&count={{}}",
        f"/api/open?token={token}&start={{}}",
        f"/api/content/{digest}?run={{}}",
        f"/api/near/{digest}?run={{}}",
        "/api/rejected?start={}",
        "/api/rejected?count={}",
        "/api/samples/{}",
        *(f"/api/select?{name}={{}}" for name in filters),
        *(f"/api/map?{name}={{0}},{{0}},{{0}},{{0}}" for name in ("box", "score")),
    ):
        status, _, body = server.ask("GET", path.format(value))
        assert status in (400, 422), path
        assert json.loads(body)["message"]
    for path, body in (
        ("/api/samples", {"size": 1, "run": value}),
        ("/api/samples", {"size": value}),
        ("/api/decide", {"verdict": value, "images": [digest]}),
        ("/api/decide", {"verdict": 1, "token": token, "ranges": [[0, value]]}),
        ("/api/decide", {"verdict": 1, "token": token, "ranges": [[value, 1]]}),
        (f"/api/samples/{value}/judge", {"image": digest, "verdict": 1}),
        ("/api/samples/1/judge", {"image": digest, "verdict": value}),
    ):
        assert server.ask("POST", path, body)[0] == 422, path
    log = server.log.read_text(encoding="utf-8")
    assert "Traceback" not in log
    assert "Warning" not in log


def test_a_broken_picture_to_search_by_is_told(server):
    for data in ("not base 64!", "AAAA"):
        status, _, body = server.ask("POST", "/api/search-image", {"data": data})
        assert status == 400
        assert json.loads(body)["message"]
