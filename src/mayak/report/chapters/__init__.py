"""The chapters of a report, one module each, as blocks of ``report.document``."""
