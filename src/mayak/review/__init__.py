"""The review page: a local server on which a person looks through a case and decides.

``ReviewSession`` is a case opened by one reviewer; ``serve`` shows it on 127.0.0.1 only.
"""

from mayak.review.server import serve
from mayak.review.session import ReviewSession

__all__ = ["ReviewSession", "serve"]
