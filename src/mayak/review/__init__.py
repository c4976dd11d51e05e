"""The examiner's desk: a local page on which a person goes through a case and decides.

``Desk`` is a case open for one reviewer; ``serve`` shows it on 127.0.0.1, to nobody else.
"""

from mayak.review.server import serve
from mayak.review.session import Desk

__all__ = ["Desk", "serve"]
