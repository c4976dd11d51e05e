"""Other programs of the machine cannot keep the page's server from answering its reviewer."""

import asyncio
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress

import pytest
import uvicorn
from review_samples import build

from mayak.case import CaseStore
from mayak.review import connections, guard
from mayak.review.guard import ADMIT, Guard

HOLD = """
import contextlib, socket, sys
port, count, head = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode()
held = []
for _ in range(count):
    held.append(socket.create_connection(("127.0.0.1", port), timeout=60))
    with contextlib.suppress(ConnectionError):  # closed already, in favour of a later one
        held[-1].sendall(head)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def server(tmp_path, serve):
    return serve(build(tmp_path, 3)[1])


@contextmanager
def held(port, count, head):
    """As many connections of another process, each of which has sent ``head``."""
    command = [sys.executable, "-c", HOLD, str(port), str(count), head]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "held\n"
        yield
    finally:
        other.communicate()


def answers(server):
    """Whether the page's own requests are answered as ever: the state, and a decision."""
    digest = server.json("GET", "/api/select")["token"]
    cells = server.json("GET", f"/api/cells?token={digest}&start=0&count=1")["cells"]
    body = {"verdict": 2, "images": [cells[0]["sha256"]]}
    return server.json("POST", "/api/decide", body)["images"] == body["images"]


@pytest.mark.parametrize(
    "head",
    [
        "",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 50,  # pipelined; the answers are not read
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nslow",
    ],
    ids=["nothing", "half a head", "answers not read", "half a body"],
)
def test_more_idle_connections_than_files_may_be_open_do_not_block_the_page(server, head):
    # A process may usually have 1,024 files open: two hold more connections than that.
    with held(server.port, 600, head), held(server.port, 600, head):
        for _ in range(3):
            assert answers(server)
    assert answers(server)
    log = server.log.read_text(encoding="utf-8")
    assert "Traceback" not in log
    assert len(log) < 10_000


class Transport(asyncio.Transport):
    closed = False

    def abort(self):
        self.closed = True

    def is_closing(self):
        return self.closed


def test_of_too_many_connections_the_strangers_that_came_first_are_closed():
    async def connect():
        config = uvicorn.Config(None, log_config=None)
        state = uvicorn.server.ServerState()
        made = []
        for number in range(connections._CONNECTIONS + 50):
            connection = connections.Connection(config, state, {})
            connection.connection_made(Transport())
            if number < 3:  # the browser's
                connection.app_state[ADMIT]()
            made.append(connection)
        closed = [number for number, c in enumerate(made) if c.transport.is_closing()]
        for connection in made:
            connection._end_deadline()
        return closed

    assert asyncio.run(connect()) == list(range(3, 53))


def test_a_connection_that_never_sends_its_request_is_closed(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n")
        with suppress(ConnectionResetError):
            assert stranger.recv(100) == b""


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(guard, "_BODY_S", 0.01)
    told, sent, token = [], [], "given"
    headers = {"host": "127.0.0.1:1", "cookie": f"mayak-1={token}", "origin": "http://127.0.0.1:1"}
    headers["content-type"] = "application/json"
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/decide",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "state": {ADMIT: lambda: None},
    }

    async def ask():
        async def send(message):
            sent.append(message)

        guarded = Guard(None, port=1, token=token, refused=told.append, large={})
        await guarded(scope, asyncio.Event().wait, send)

    asyncio.run(ask())
    assert sent[0]["status"] == 408
    assert told == ["POST '/api/decide': a body too slow"]


def test_refusals_do_not_flood_terminal_and_log_and_are_counted(server):
    for _ in range(120):
        assert server.ask("GET", "/secret", Cookie=None)[0] == 401
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as stranger:
            stranger.sendall(b"\x16\x03\x01 this is not HTTP\r\n\r\n")
            stranger.recv(1000)
    assert answers(server)
    told = server.log.read_text(encoding="utf-8").splitlines()
    assert sum("refused GET '/secret'" in line for line in told) == 50
    assert sum("only counted" in line for line in told) == 1
    assert len(told) < 60
    server.stop()
    with CaseStore.read(server.case) as store:
        entries = [entry for entry in store.log() if entry.action.startswith("refuse")]
    assert [entry.action for entry in entries] == ["refuse request"] * 50 + ["refuse more requests"]
    assert entries[-1].detail["requests"] == 70
