"""The case: a folder with a SQLite database, its log and the thumbnails, in one store's hands."""

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
    Result,
    Run,
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
    "Result",
    "Run",
    "Source",
    "SourceHash",
    "StoredContent",
    "StoredItem",
    "Unclassified",
]
