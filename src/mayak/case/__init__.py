"""The case: a folder with a SQLite database, its log and the thumbnails, in one store's hands."""

from mayak.case.listing import Standing
from mayak.case.records import (
    Alert,
    Content,
    Counts,
    Decision,
    Duplicate,
    Exclusion,
    Fault,
    Item,
    LogEntry,
    Missed,
    Result,
    Run,
    Sample,
    Source,
    SourceHash,
    StoredContent,
    StoredItem,
    Unclassified,
)
from mayak.case.store import CaseStore

__all__ = [
    "Alert",
    "CaseStore",
    "Content",
    "Counts",
    "Decision",
    "Duplicate",
    "Exclusion",
    "Fault",
    "Item",
    "LogEntry",
    "Missed",
    "Result",
    "Run",
    "Sample",
    "Source",
    "SourceHash",
    "Standing",
    "StoredContent",
    "StoredItem",
    "Unclassified",
]
