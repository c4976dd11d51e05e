"""HTTP connections with limits, so that no other program can block the page by opening many.

uvicorn waits forever for the head of a request, and accepts connections until the process has no
file descriptor left; then asyncio fails to accept, over and over. Here the number of connections is
limited. One that has not shown the token in time is closed, and so is the oldest of these if there
are too many.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from mayak.review.guard import ADMIT

BATCH = 32
"""Connections that asyncio accepts before it runs anything else."""
_QUEUE = 1024
"""Connections that wait in the system to be accepted; a further one must try again."""
_CONNECTIONS = 200
"""Open at a time; a browser opens six. Several times ``BATCH``, so that a new connection is not
closed before it could send its request, and far below the usual limit of 1,024 open files."""
_ADMISSION_S = 10.0
"""Time for a connection to send the head of a request that the guard accepts."""


class Server(uvicorn.Server):
    """uvicorn's server, with a longer queue than the number that asyncio accepts at once."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            # asyncio uses one number for both, and has just set it for the queue.
            listener.listen(_QUEUE)


class Connection(H11Protocol):
    """A connection; it is unknown until the guard has accepted one of its requests."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*arguments, **options)
        self.app_state = {**self.app_state, ADMIT: self._admit}
        self._is_admitted = False
        self._made = 0.0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._made = self.loop.time()
        self._deadline = self.loop.call_later(_ADMISSION_S, transport.abort)
        others = cast("set[Connection]", self.connections)
        still_open = [other for other in others if not other.transport.is_closing()]
        if len(still_open) > _CONNECTIONS:
            # This one is unknown too: if all others belong to the browser, it is closed itself.
            unknown = [other for other in still_open if not other._is_admitted]
            min(unknown, key=lambda other: other._made).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._end_deadline()

    def _admit(self) -> None:
        self._is_admitted = True
        self._end_deadline()

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
