"""Reports of a case: HTML, PDF, XLSX, CSV and CASE JSON-LD, made without torch."""

from mayak.report.bundle import ReportBundle, write_report

__all__ = ["ReportBundle", "write_report"]
