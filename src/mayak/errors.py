"""The error tree.

::

    MayakError                  exit 2
    ├── ConfigError             a wrong option, key or value        (ValueError)
    ├── ManifestError           a data set that is wrong or unfit   (ValueError)
    ├── EvidenceError           a source that cannot be opened      (OSError)
    ├── DecodeError             bytes that are not a readable image (ValueError)
    ├── ModelError              a model that cannot be loaded/run   (RuntimeError)
    └── CaseError               a case file that cannot be used     (RuntimeError)
        └── IntegrityError      evidence or case changed    exit 3

The message of every error names the file or key and what is wrong with it; ``remedy`` is what the
user can do.
"""

from __future__ import annotations


class MayakError(Exception):
    """An error with a message for the user; ``exit_code`` is the exit status of the command."""

    exit_code = 2

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return self.message + " → " + self.remedy if self.remedy else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Errors are pickled between processes (decode workers); the default loses the remedy.
        return (_rebuild, (type(self), self.message, self.remedy))


def _rebuild(kind: type[MayakError], message: str, remedy: str) -> MayakError:
    return kind(message, remedy=remedy)


class MayakWarning(UserWarning):
    """Something that the user should know but that does not stop the command."""


class ConfigError(MayakError, ValueError):
    """A wrong option, configuration key or value."""


class ManifestError(MayakError, ValueError):
    """A raw folder or data set that is wrong or unfit for its purpose."""


class EvidenceError(MayakError, OSError):
    """An evidence source that cannot be opened or read."""


class DecodeError(MayakError, ValueError):
    """Bytes that cannot be read as an image."""


class ModelError(MayakError, RuntimeError):
    """A model, adapter or device that cannot be loaded or run."""


class CaseError(MayakError, RuntimeError):
    """A case file that cannot be opened, read or written."""


class IntegrityError(CaseError):
    """Evidence or a case file that is not as it was recorded."""

    exit_code = 3
