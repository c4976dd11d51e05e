"""The data folder: its identity, and its replacement in one step."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mayak.dataset.manifest import DATASET_FILE, FILES
from mayak.errors import ManifestError, MayakError
from mayak.files import json_bytes, write_durably
from mayak.i18n import msg
from mayak.labels import LABELS
from mayak.untrusted import DOCUMENT_BYTES, PARSE_ERRORS, read_json

AUGMENTED_FOLDER = "augmented"
IMAGES_FOLDER = "images"
"""For images that were copied out of cases."""
_STAGING_FOLDER = ".prepare-unfinished"


@dataclass(frozen=True, slots=True)
class Previous:
    """The input that a data folder was made from, by its ``dataset.json``."""

    parameters: Mapping[str, Any]
    input_digest: str
    images: frozenset[str]
    """Image files that mayak may replace, POSIX, below the data folder."""


class DataFolder:
    """The data folder. Only files that ``prepare`` writes are replaced or removed."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def previous(self) -> Previous | None:
        """Return the input of the folder; None without a readable ``dataset.json``."""
        try:
            value = read_json(self.data / DATASET_FILE, DOCUMENT_BYTES)
            return Previous(
                parameters=dict(value["parameters"]),
                input_digest=str(value["input"]["digest"]),
                images=frozenset(
                    # Without the folder's name, which may have changed.
                    row["image_path"].partition("/")[2]
                    for row in value["images"]
                    if "augmented_from" in row or "provenance" in row
                ),
            )
        except (OSError, *PARSE_ERRORS):
            return None

    def refuse_other(self, parameters: Mapping[str, Any], input_digest: str | None = None) -> None:
        """Raise ManifestError if the folder was made with other parameters or from other input.

        ``input_digest`` is None while it is not known: the parameters are compared before thousands
        of images are read.
        """
        previous = self.previous()
        if previous is None:
            held = [name for name in (*FILES.values(), DATASET_FILE) if (self.data / name).exists()]
            if held:
                raise _refusal(
                    msg(
                        "{data} holds {held}, and no record of how it was made",
                        data=self.data,
                        held=", ".join(held),
                    )
                )
            return
        changed = ", ".join(
            f"{key}: {previous.parameters.get(key)} → {parameters.get(key)}"
            for key in sorted({*previous.parameters, *parameters})
            if previous.parameters.get(key) != parameters.get(key)
        )
        if changed:
            raise _refusal(
                msg(
                    "{data} was made with other parameters ({changed})",
                    data=self.data,
                    changed=changed,
                )
            )
        if input_digest is not None and input_digest != previous.input_digest:
            raise _refusal(
                msg("{data} was made from other files than there are now", data=self.data)
            )

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Provide a temporary folder inside the data folder; it is always removed.

        Raises:
            ManifestError: nothing can be written there.
        """
        folder = self.data / _STAGING_FOLDER
        new = not self.data.exists()
        try:
            shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
            folder.mkdir(parents=True)
            yield folder
        except MayakError:  # some are OSErrors too, about other folders
            raise
        except OSError as error:
            raise ManifestError(
                msg("{data} cannot be written: {error}", data=self.data, error=error),
                remedy=msg("check its permissions and the free disk space"),
            ) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            if new:
                with suppress(OSError):  # unless something was published
                    self.data.rmdir()

    def publish(self, staging: Path, images: list[str], files: Mapping[str, object]) -> None:
        """Replace the folder's files with staged ``images`` (POSIX, below the folder) and ``files``
        (name → JSON value, with ``dataset.json``).

        ``dataset.json`` is removed first and written last: if the process is killed in between, the
        folder has none, and is not mistaken for a complete data set.
        """
        previous = self.previous()
        (self.data / DATASET_FILE).unlink(missing_ok=True)
        for name in sorted((previous.images if previous else frozenset()) - {*images}):
            if _is_ours(name):
                (self.data / name).unlink(missing_ok=True)
        for name in images:
            (self.data / name).parent.mkdir(parents=True, exist_ok=True)
            (staging / name).replace(self.data / name)
        for name in (AUGMENTED_FOLDER, *_image_folders(), IMAGES_FOLDER):
            with suppress(OSError):  # it is not empty, or does not exist
                (self.data / name).rmdir()
        for name in FILES.values():
            if name not in files:
                (self.data / name).unlink(missing_ok=True)
        for name, value in sorted(files.items(), key=lambda item: item[0] == DATASET_FILE):
            write_durably(self.data / name, json_bytes(value))


def _image_folders() -> list[str]:
    return [f"{IMAGES_FOLDER}/{label.folder}" for label in LABELS]


def _is_ours(name: str) -> bool:
    """Return whether an image that a ``dataset.json`` names may be removed."""
    return name.rpartition("/")[0] in (AUGMENTED_FOLDER, *_image_folders())


def _refusal(message: str) -> ManifestError:
    return ManifestError(
        message,
        remedy=msg("name another folder with --data, or replace it with --overwrite"),
    )
