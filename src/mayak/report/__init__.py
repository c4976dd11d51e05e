"""Reports of a case: HTML, PDF, XLSX, CSV and CASE JSON-LD, made without torch."""

from mayak.report.bundle import Made, write_report

__all__ = ["Made", "write_report"]
