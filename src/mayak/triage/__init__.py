"""Evidence in, case out: every file of a source is examined, classified or accounted for."""

from mayak.triage.options import Options
from mayak.triage.run import Summary, check, triage

__all__ = ["Options", "Summary", "check", "triage"]
