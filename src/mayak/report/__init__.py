"""Reports of a case, made without torch; ``bundle`` has the table of their formats."""

from mayak.report.bundle import ReportBundle, write_report

__all__ = ["ReportBundle", "write_report"]
