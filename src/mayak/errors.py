"""The error tree.

::

    MayakError                  exit 2
    ├── ConfigError             a wrong option, key or value        (ValueError)
    ├── ManifestError           a data set that is wrong or unfit   (ValueError)
    ├── EvidenceError           a source that cannot be opened      (OSError)
    ├── DecodeError             bytes that are no readable image    (ValueError)
    ├── ModelError              a model that cannot be loaded/run   (RuntimeError)
    └── CaseError               a case file that cannot be used     (RuntimeError)
        └── IntegrityError      evidence or case changed    exit 3

Every error says what is wrong, naming the file or key, and ``remedy`` says what to do.
"""

from __future__ import annotations


class MayakError(Exception):
    """A fault that the user can be told about; ``exit_code`` is what the command returns."""

    exit_code = 2

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return self.message + " → " + self.remedy if self.remedy else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders (decode workers); the default loses the remedy.
        return (_rebuild, (type(self), self.message, self.remedy))


def _rebuild(kind: type[MayakError], message: str, remedy: str) -> MayakError:
    return kind(message, remedy=remedy)


class MayakWarning(UserWarning):
    """Something that the user should know and that stops nothing."""


class ConfigError(MayakError, ValueError):
    """A wrong option, configuration key or value."""


class ManifestError(MayakError, ValueError):
    """A raw folder or data set that is wrong or unfit for what is asked of it."""


class EvidenceError(MayakError, OSError):
    """An evidence source that cannot be opened or read."""


class DecodeError(MayakError, ValueError):
    """Bytes that cannot be read as an image."""


class ModelError(MayakError, RuntimeError):
    """A model, adapter or device that cannot be loaded or run."""


class CaseError(MayakError, RuntimeError):
    """A case file that cannot be opened, read or written."""


class IntegrityError(CaseError):
    """Evidence or a case file that is not what it was."""

    exit_code = 3
