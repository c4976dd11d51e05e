"""Evidence in: folders, archives and disk images, listed and read without being written.

``open_source`` opens one; ``Source.items`` lists all that lies in it, deleted files too.
"""

from mayak.evidence.reader import EXCLUSIONS, Limits
from mayak.evidence.source import Acquisition, Source, located, open_source

__all__ = ["EXCLUSIONS", "Acquisition", "Limits", "Source", "located", "open_source"]
