"""mayak sorts the images of a seized phone or disk, and can prove how.

``open_source``, ``decode``, ``Classifier`` and ``CaseStore`` are the same parts that the commands
are made of; each is imported when it is first asked for, torch with the classifier only.
"""

import sys
from importlib import import_module
from typing import Any

# If the package `kernels` is installed, bitsandbytes (as it is imported, on processors with
# AVX512-BF16) and transformers (for a configuration that names one) fetch native code from a hub
# with it. None lets every import of it fail.
sys.modules["kernels"] = None  # type: ignore[assignment]

_PARTS = {
    "CaseStore": ("mayak.case", "CaseStore"),
    "Classifier": ("mayak.model", "LabelScorer"),
    "decode": ("mayak.imaging", "decode"),
    "open_source": ("mayak.evidence", "open_source"),
}
__all__ = ["CaseStore", "Classifier", "decode", "open_source"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - one of several classes and functions
    if name == "__version__":
        from importlib.metadata import version

        return version("mayak")
    if name not in _PARTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, part = _PARTS[name]
    return getattr(import_module(module), part)
