"""Evidence in, case out: every file of a source is examined, classified or accounted for."""

from mayak.triage.options import Options
from mayak.triage.pipeline import check, triage
from mayak.triage.relocation import Relocation, moved_sources, relocate
from mayak.triage.summary import Summary

__all__ = [
    "Options",
    "Relocation",
    "Summary",
    "check",
    "moved_sources",
    "relocate",
    "triage",
]
