"""Download of a model that was given by its hub name, or its files in this machine's cache."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import get_session

_FILES = ("*.json", "*.jinja", "*.safetensors", "tokenizer.model")
_SECONDS = 4.0
"""Time limit of the hub's first answer. The hub's client would try for half a minute."""


def hub_folder(name: str, *files: str, revision: str | None, cached: bool) -> Path:
    """Return the folder of a hub model, named after its commit, with ``files`` or all in it.
    ``cached``: use only the files in this machine's cache.

    Raises:
        FileNotFoundError: the model is neither here nor on the hub.
    """
    try:
        folder = snapshot_download(
            name,
            revision=revision,
            allow_patterns=list(files or _FILES),
            local_files_only=cached,
        )
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        raise FileNotFoundError(name) from error
    return Path(folder)


def hub_answers() -> bool:
    """Return whether the hub answers in time. The time limit covers resolving its name, which the
    limit of a connection does not."""
    if constants.HF_HUB_OFFLINE:
        return False
    answers = []

    def ask() -> None:
        with suppress(Exception):  # no fault here is fatal: the cache may hold the model
            answers.append(get_session().head(constants.ENDPOINT, timeout=_SECONDS))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_SECONDS)
    return bool(answers)
