import http.client
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

pytest.register_assert_rewrite("acting", "desk_browser")

# What a shell starts in the background inherits that Ctrl-C is ignored, until uvicorn handles it.
START = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from mayak.cli.app import main; main()"
)
MAYAK = [sys.executable, "-c", START]


class Server:
    """``mayak review`` as a process of its own, or another command that serves a page."""

    def __init__(self, case, log, reviewer="kim", port=None, command="review"):
        self.case, self.log, self.reviewer, self.command = case, log, reviewer, command
        self.start(port)

    def start(self, port=None):
        command = [*MAYAK, self.command, str(self.case), "--reviewer", self.reviewer]
        if port is not None:
            command += ["--port", str(port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "LANG": "C"},
            )
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http://127.0.0.1:"), self.log.read_text(encoding="utf-8")
        self.port = urlsplit(self.url).port
        self.base = f"http://127.0.0.1:{self.port}"
        self.token = self.url.partition("token=")[2]

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def interrupt(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)

    def stop(self):
        self.interrupt()
        self.process.wait(20)
        self.process.stdout.close()

    def ask(self, method, path, body=None, **headers):
        """Status, headers and body of an answer, to a request made as the page makes it but for
        ``headers`` (``None`` leaves one out)."""
        values = {
            "Host": f"127.0.0.1:{self.port}",
            "Cookie": f"mayak-{self.port}={self.token}",
        }
        if method == "POST":
            values |= {"Origin": self.base, "Content-Type": "application/json"}
        values |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        data = (
            b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        )
        if method == "POST" and "Content-Length" not in values:
            values["Content-Length"] = str(len(data))
        for name, value in values.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders()
        if data:
            # Refused before it was all sent.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.send(data)
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return found

    def json(self, method, path, body=None):
        status, _, data = self.ask(method, path, body)
        assert status == 200, (status, data[:300])
        return json.loads(data)


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """Starts servers that end with the module."""
    running = {}

    def start(case, reviewer="kim", command="review"):
        if (case, reviewer) not in running:
            log = tmp_path_factory.mktemp("log") / "log.txt"
            running[case, reviewer] = Server(case, log, reviewer, command=command)
        return running[case, reviewer]

    def end(case):
        """End the servers of a case that is done with; nobody waits for them yet."""
        for (served, _), server in running.items():
            if served == case:
                server.interrupt()

    start.end = end
    yield start
    # All are told first: each takes a second to end.
    for server in running.values():
        server.interrupt()
    for server in running.values():
        server.stop()


@pytest.fixture(scope="module")
def browser():
    from desk_browser import chromium

    with chromium() as opened:
        yield opened


@pytest.fixture
def page(browser, request):
    from desk_browser import open_page

    if "made" in request.fixturenames:
        # Made first and so ended last: a page whose server has ended complains in its console.
        request.getfixturevalue("made")
    with open_page(browser) as opened:
        yield opened
