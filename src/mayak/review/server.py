"""Serves the page on 127.0.0.1 until it is interrupted."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable

import uvicorn

from mayak.errors import ConfigError
from mayak.i18n import Language, msg
from mayak.review.app import LARGE, build
from mayak.review.connections import BATCH, Connection, Server
from mayak.review.guard import Guard
from mayak.review.session import Desk

PORT = 8323
"""Tried first: the browser keeps what a reviewer set (blur, size) by address."""

_HOST = "127.0.0.1"


def serve(
    desk: Desk, *, port: int | None, opened: Callable[[str], None], language: Language = "en"
) -> None:
    """Answer the page's requests; ``opened`` is told the address, with its token, once it works.
    ``language`` is that of the page.

    Without ``port`` the usual one or, where that is taken, any. Raises ConfigError for a port that
    cannot be had. Returns when the process is interrupted.
    """
    listener = _listen(port)
    number = listener.getsockname()[1]
    token = secrets.token_urlsafe(32)
    guard = Guard(
        build(desk, language), port=number, token=token, refused=desk.refused, large=LARGE
    )
    config = uvicorn.Config(
        guard,
        log_level="error",  # it warns of each connection that does not speak HTTP
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        loop="asyncio",
        http=Connection,
        backlog=BATCH,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    opened(f"http://{_HOST}:{number}/?token={token}")
    try:
        Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        return
    finally:
        listener.close()


def _listen(port: int | None) -> socket.socket:
    for wanted in (PORT, 0) if port is None else (port,):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, wanted))
            listener.listen(BATCH)
        except (OSError, OverflowError) as error:
            listener.close()
            problem = error
        else:
            return listener
    raise ConfigError(
        msg("port {port} cannot be used: {problem}", port=port, problem=problem),
        remedy=msg("name another one with --port"),
    )
