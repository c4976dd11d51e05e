"""The page's HTTP server on 127.0.0.1."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Mapping

import uvicorn

from mayak.errors import ConfigError
from mayak.i18n import Language, message_of, msg
from mayak.review.answers import AnswersToLabel, build_answers
from mayak.review.app import LARGE, build
from mayak.review.connections import BATCH, Connection, Server
from mayak.review.guard import App, Guard, RefusalLog
from mayak.review.session import ReviewSession

PORT = 8323
"""Tried first, because the browser stores a reviewer's settings (blur, size) by address."""

_HOST = "127.0.0.1"


def serve(
    session: ReviewSession,
    *,
    port: int | None,
    opened: Callable[[str], None],
    language: Language = "en",
) -> None:
    """Show a case to its reviewer until the process is interrupted.

    ``opened`` is called with the address and its token once the server listens. Without ``port``
    the usual port is taken, or any if that one is in use. ``language`` is that of the page.

    Raises:
        ConfigError: the port cannot be used.
    """
    app = build(session, language)
    _answer_requests(app, port, opened, refused=session.log_refusal, large=LARGE)


def serve_answers(
    answers: AnswersToLabel,
    *,
    port: int | None,
    opened: Callable[[str], None],
    language: Language = "en",
) -> None:
    """Show unread answers to a person who labels them; otherwise like ``serve``.

    Raises:
        ConfigError: the port cannot be used.
    """
    _answer_requests(build_answers(answers, language), port, opened, refused=RefusalLog().add)


def _answer_requests(
    app: App,
    port: int | None,
    opened: Callable[[str], None],
    *,
    refused: Callable[[str], object],
    large: Mapping[str, int] | None = None,
) -> None:
    listener = _listen(port)
    number = listener.getsockname()[1]
    token = secrets.token_urlsafe(32)
    guard = Guard(app, port=number, token=token, refused=refused, large=large or {})
    config = uvicorn.Config(
        guard,
        log_level="error",  # at "warning" it logs every connection that does not speak HTTP
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
        except OSError as error:
            listener.close()
            problem = message_of(error)
        except OverflowError:
            listener.close()
            problem = msg("ports are numbers from 0 to 65535")
        else:
            return listener
    raise ConfigError(
        msg("port {port} cannot be used: {problem}", port=port, problem=problem),
        remedy=msg("name another one with --port"),
    )
