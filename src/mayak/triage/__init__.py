"""Evidence in, case out: every file of a source is examined, classified or accounted for."""

from mayak.triage.options import Options
from mayak.triage.pipeline import check, triage
from mayak.triage.summary import Summary

__all__ = ["Options", "Summary", "check", "triage"]
