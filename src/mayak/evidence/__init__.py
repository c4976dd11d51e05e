"""Evidence in: folders, archives and disk images, listed and read without being written.

``open_source`` opens a source; ``Source.items`` lists its files, deleted ones too. Readers are in
``containers`` and run in a process of their own; a worker process with limits may read a source
itself with ``open_in_process``.
"""

from mayak.evidence.acquire import Acquisition
from mayak.evidence.base import (
    EXCLUSIONS,
    Choices,
    Limits,
    LockedError,
    NotReadError,
    ReaderLostError,
    asks_for_password,
)
from mayak.evidence.entropy import looks_random
from mayak.evidence.open import located, open_in_process
from mayak.evidence.source import Source, open_source
from mayak.evidence.walk import Walk

__all__ = [
    "EXCLUSIONS",
    "Acquisition",
    "Choices",
    "Limits",
    "LockedError",
    "NotReadError",
    "ReaderLostError",
    "Source",
    "Walk",
    "asks_for_password",
    "located",
    "looks_random",
    "open_in_process",
    "open_source",
]
