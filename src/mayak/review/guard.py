"""Access control of the page's server: only a browser that was given the token may send requests.

The server listens on 127.0.0.1, but programs of other users on this machine, and any web page open
in the same browser, can send requests to it. These are refused and logged.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from mayak.i18n import Language, msg, preferred, render

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_BODY = 256 * 1024
"""Largest body of a request, in bytes; ``large`` has the paths with another limit."""

_BODY_S = 60.0
"""Time in which the body of a request must arrive."""

_REFUSALS = 50
"""Refused requests of a session that are logged one by one; further ones are counted."""

log = logging.getLogger("mayak.review")

ADMIT = "admit"
"""Key in the request's state: the function to call when the request is accepted."""

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # Evidence must not remain in the browser's cache.
    "cache-control": "no-store",
}


def reader(headers: Mapping[str, str]) -> Language:
    """The language that a browser asks for first."""
    return preferred(headers.get("accept-language", ""))


class RefusalLog:
    """Logs a session's refused requests one by one, up to a limit: otherwise another program could
    fill the terminal."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, what: str) -> bool:
        """Log a refused request; return whether it was, and not only counted."""
        self._count += 1
        if self._count <= _REFUSALS:
            log.warning("refused %s", what)
        if self._count == _REFUSALS:
            log.warning("further refused requests are only counted")
        return self._count <= _REFUSALS

    @property
    def n_unlogged(self) -> int:
        """Requests that were only counted."""
        return max(0, self._count - _REFUSALS)


class Guard:
    """ASGI middleware that accepts only requests of the page itself."""

    def __init__(
        self,
        app: App,
        *,
        port: int,
        token: str,
        refused: Callable[[str], object],
        large: Mapping[str, int],
    ) -> None:
        """``refused`` is called for each refusal, with one line of English."""
        self._app, self._token, self._refused, self._large = app, token, refused, large
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        # Cookies ignore ports: two sessions on one machine must not log each other out.
        self._cookie = f"mayak-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = [(name.decode("latin-1"), v.decode("latin-1")) for name, v in scope["headers"]]
        fault = self._fault(scope, headers)
        if fault is not None:
            status, why = fault
            self._refused(f"{scope['method']} {scope['path'][:200]!a}: {why}")
            await _answer(send, status, why, reader(dict(headers)))
            return
        scope["state"][ADMIT]()
        if scope["path"] == "/" and b"token=" in scope["query_string"]:
            by = dict(headers).get("sec-fetch-site", "none")
            await self._let_in(send, by_another_page=by not in ("none", "same-origin"))
            return
        try:
            async with asyncio.timeout(_BODY_S):
                body = await self._body(scope, receive)
        except TimeoutError:
            self._refused(f"{scope['method']} {scope['path'][:200]!a}: a body too slow")
            await _answer(send, 408, msg("the body took too long"), reader(dict(headers)))
            return
        if body is None:
            self._refused(f"{scope['method']} {scope['path'][:200]!a}: a body too large")
            await _answer(send, 413, msg("the body is too large"), reader(dict(headers)))
            return
        given = False

        async def whole() -> Message:
            nonlocal given
            if given:
                return await receive()  # waits until the browser disconnects
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", ()),
                    *((name.encode(), value.encode()) for name, value in _HEADERS.items()),
                ]
            await send(message)

        await self._app(scope, whole, guarded)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """Return the body of a request; None if it is too large."""
        limit = self._large.get(scope["path"], _BODY)
        body = bytearray()
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > limit:
                return None
        return bytes(body)

    def _fault(self, scope: Scope, headers: list[tuple[str, str]]) -> tuple[int, str] | None:
        """Return status and reason of a refusal; None if the request is accepted."""

        def all_of(name: str) -> list[str]:
            return [value for key, value in headers if key == name]

        host = all_of("host")
        if len(host) != 1 or host[0].lower() not in self._hosts:
            return 421, msg("foreign host")
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return 405, msg("unknown method")
        # For the browser, the file that opens the page is another site, but it has the token.
        if self._brings_token(scope):
            return None
        if all_of("sec-fetch-site") not in ([], ["same-origin"], ["none"]):
            return 403, msg("asked for by another site")
        if not self._knows(all_of("cookie")):
            return 401, msg("without the token")
        if scope["method"] == "POST":
            if all_of("origin") != [f"http://{host[0]}"]:
                return 403, msg("sent by another site")
            kind = all_of("content-type")
            if len(kind) != 1 or kind[0].split(";")[0].strip().lower() != "application/json":
                return 415, msg("not JSON")
            length = all_of("content-length")
            limit = self._large.get(scope["path"], _BODY)
            if length and (not length[0].isdigit() or int(length[0]) > limit):
                return 413, msg("more than {limit} bytes", limit=limit)
        return None

    def _brings_token(self, scope: Scope) -> bool:
        """Whether the request is for the address that was printed."""
        if scope["path"] != "/" or scope["method"] != "GET":
            return False
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        return hmac.compare_digest(given.encode(), self._token.encode())

    def _knows(self, cookies: list[str]) -> bool:
        return any(
            hmac.compare_digest(value.encode(), self._token.encode())
            for value in _values(cookies, self._cookie)
        )

    async def _let_in(self, send: Send, *, by_another_page: bool) -> None:
        """Set the cookie and redirect to the address without the token."""
        cookie = f"{self._cookie}={self._token}; Path=/; HttpOnly; SameSite=Strict"
        # After a redirect the browser would still treat the request as the other page's and not
        # send the cookie. A page that refreshes itself belongs to this site.
        status, body, headers = 303, b"", {"location": "/"}
        if by_another_page:
            # It names the icon, or the browser would request /favicon.ico, which does not exist.
            body = b'<!doctype html><title>mayak</title><link rel="icon" href="/static/icon.svg">'
            status, headers = 200, {"refresh": "0; url=/", "content-type": "text/html"}
        headers |= {"set-cookie": cookie, "content-length": str(len(body)), **_HEADERS}
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
            }
        )
        await send({"type": "http.response.body", "body": body})


def _values(cookies: list[str], name: str) -> Iterator[str]:
    for text in cookies:
        try:
            jar = SimpleCookie(text)
        except CookieError:
            continue
        if name in jar:
            yield jar[name].value


async def _answer(send: Send, status: int, why: str, language: Language) -> None:
    if status == 401:
        message = msg("Open the address that mayak printed.")
    else:
        message = msg("Refused: {why}.", why=why)
    answer = {"message": render(message, language), "remedy": ""}
    body = json.dumps(answer, ensure_ascii=False).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body)), **_HEADERS}
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})
