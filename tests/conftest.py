"""No test touches the network, and each keeps to one thread so that small machines agree."""

import os

# Before anything imports torch or the hub's client, which read these once.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import pytest

from mayak.language import set_language


@pytest.fixture(autouse=True)
def english():
    """Texts are asserted in English; a test of the Korean ones says so itself."""
    set_language("en")
    yield
    set_language("en")


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """A random two-layer LLaVA-NeXT with the real Mistral tokenizer, named ``tiny``."""
    from model_folder import make_model_folder

    return make_model_folder(tmp_path_factory.mktemp("models") / "tiny")
