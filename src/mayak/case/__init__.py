"""The case: a folder with a SQLite database, its log and the thumbnails."""

from mayak.case.alarms import alarms, clock_note, set_back
from mayak.case.browse import Browser, Cell, Selection
from mayak.case.positions import Box
from mayak.case.query import SORTS, STATES, Filter, Sort, State
from mayak.case.records import (
    Alert,
    BlindSample,
    Content,
    ContentWithoutResult,
    Counts,
    Decision,
    Duplicate,
    Exclusion,
    IntegrityFault,
    Item,
    LogEntry,
    MissRateEstimate,
    RankedResult,
    Run,
    SourceCounts,
    SourceHash,
    StoredContent,
    StoredItem,
    StoredSource,
    VerificationScope,
    latest,
)
from mayak.case.statuses import ReviewStatus
from mayak.case.store import CaseStore

__all__ = [
    "SORTS",
    "STATES",
    "Alert",
    "BlindSample",
    "Box",
    "Browser",
    "CaseStore",
    "Cell",
    "Content",
    "ContentWithoutResult",
    "Counts",
    "Decision",
    "Duplicate",
    "Exclusion",
    "Filter",
    "IntegrityFault",
    "Item",
    "LogEntry",
    "MissRateEstimate",
    "RankedResult",
    "ReviewStatus",
    "Run",
    "Selection",
    "Sort",
    "SourceCounts",
    "SourceHash",
    "State",
    "StoredContent",
    "StoredItem",
    "StoredSource",
    "VerificationScope",
    "alarms",
    "clock_note",
    "latest",
    "set_back",
]
