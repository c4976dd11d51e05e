"""Evidence in: folders, archives and disk images, listed and read without being written.

``open_source`` opens a source; ``Source.items`` lists its files, deleted ones too. Readers are in
``containers``.
"""

from mayak.evidence.acquire import Acquisition
from mayak.evidence.base import EXCLUSIONS, Choices, Limits, LockedError, asks_for_password
from mayak.evidence.entropy import looks_random
from mayak.evidence.open import located, open_source
from mayak.evidence.walk import Source

__all__ = [
    "EXCLUSIONS",
    "Acquisition",
    "Choices",
    "Limits",
    "LockedError",
    "Source",
    "asks_for_password",
    "located",
    "looks_random",
    "open_source",
]
