"""The review page: a local server on which a person looks through a case and decides.

``ReviewSession`` is a case opened by one reviewer; ``serve`` shows it on 127.0.0.1 only.
``serve_answers`` shows a model's unread answers in the same way, to a person who labels them.
"""

from mayak.review.server import serve, serve_answers
from mayak.review.session import ReviewSession

__all__ = ["ReviewSession", "serve", "serve_answers"]
