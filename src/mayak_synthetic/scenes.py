"""The table of subjects: each is rendered as a scene and encoded as a phone's file."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from mayak_synthetic import (
    chats,
    documents,
    drop_off_places,
    drugs,
    kitchen,
    medicine_and_sweets,
    scenery,
    screens,
)
from mayak_synthetic.camera import shoot
from mayak_synthetic.canvas import Drawing, Facts, SeededRandom, Style
from mayak_synthetic.vocabulary import KEY_NAMES, VOCABULARY

__all__ = ["KEY_NAMES", "SUBJECTS", "VOCABULARY", "Scene", "Style", "encode", "render"]

Suffix = Literal["jpg", "png"]
Drawer = Callable[[SeededRandom, Style, tuple[int, int]], Drawing]


@dataclass(frozen=True)
class Scene:
    """A picture with its label and facts."""

    image: Image.Image
    """RGB."""
    label: int
    subject: str
    facts: Facts
    """English keys (``KEY_NAMES``) and values (``VOCABULARY``); numbers are counts. The text
    in the picture is given verbatim as ``messages`` and ``texts``."""
    suffix: Suffix


@dataclass(frozen=True, slots=True)
class _Subject:
    label: int
    draw: Drawer
    medium: Literal["photo", "shot", "screenshot", "picture"] = "photo"
    """``shot``: a photo whose drawing function applies the camera itself."""
    tilt: float = 5.0
    """Largest rotation of the camera in degrees: little for a street, more for a table top."""


_SUBJECTS: Mapping[str, _Subject] = {
    "ordinary_chat": _Subject(0, chats.ordinary_chat, "screenshot"),
    "street": _Subject(0, scenery.street, tilt=3),
    "building": _Subject(0, scenery.building, tilt=3),
    "room": _Subject(0, scenery.room, tilt=3),
    "landscape": _Subject(0, scenery.landscape, tilt=3),
    "sweets": _Subject(0, medicine_and_sweets.sweets, tilt=12),
    "blister_pack": _Subject(0, medicine_and_sweets.blister_pack, tilt=12),
    "medicine_bottle": _Subject(0, medicine_and_sweets.medicine_bottle),
    "flour": _Subject(0, kitchen.flour, tilt=10),
    "seasoning_jar": _Subject(0, kitchen.seasoning_jar),
    "coffee": _Subject(0, kitchen.coffee, tilt=12),
    "food": _Subject(0, kitchen.food, tilt=12),
    "pet": _Subject(0, scenery.pet),
    "receipt": _Subject(0, documents.receipt),
    "document": _Subject(0, documents.document),
    "meme": _Subject(0, screens.meme, "picture"),
    "app_screenshot": _Subject(0, screens.app_screenshot, "screenshot"),
    "drug_chat": _Subject(1, chats.drug_chat, "screenshot"),
    "mailbox": _Subject(2, drop_off_places.mailbox, "shot"),
    "gas_meter": _Subject(2, drop_off_places.gas_meter, "shot"),
    "electric_meter": _Subject(2, drop_off_places.electric_meter, "shot"),
    "air_conditioner": _Subject(2, drop_off_places.air_conditioner, "shot"),
    "drain": _Subject(2, drop_off_places.drain, "shot"),
    "planter": _Subject(2, drop_off_places.planter, "shot"),
    "stairs": _Subject(2, drop_off_places.stairs, "shot"),
    "marked_wall": _Subject(2, drop_off_places.marked_wall, "shot"),
    "powder": _Subject(3, drugs.powder, tilt=14),
    "crystals": _Subject(3, drugs.crystals, tilt=14),
    "tablets": _Subject(3, drugs.tablets, tilt=14),
    "baggie": _Subject(3, drugs.baggie, tilt=14),
    "dried_leaf": _Subject(3, drugs.dried_leaf, tilt=14),
}

_SCROLLED = {"ordinary_chat": chats.ordinary_chat, "drug_chat": chats.drug_chat}

SUBJECTS: dict[str, int] = {name: subject.label for name, subject in _SUBJECTS.items()}
"""Subject to label."""

_PHOTO_SIZES = (
    *((640, 480), (480, 640)) * 3,
    *((720, 540), (540, 720), (800, 600), (600, 800), (640, 640)),
)


def render(subject: str, seed: int, style: Style, scroll: float = 0.0) -> Scene:
    """Draw one scene; the same for the same arguments. ``scroll`` is how far a chat was scrolled
    down, in heights of its messages' area; other subjects do not scroll.

    Raises:
        KeyError: the subject is unknown.
    """
    made = _SUBJECTS[subject]
    rng = SeededRandom(subject, seed, style)
    medium: str = made.medium
    suffix: Suffix = "jpg"
    if medium == "screenshot":
        width = rng.integer(480, 600)
        size = (width, round(width * rng.uniform(1.6, 2.2)))
        if scroll and subject in _SCROLLED:
            image, facts = _SCROLLED[subject](rng, style, size, scroll)
        else:
            image, facts = made.draw(rng, style, size)
        if rng.chance(0.1):
            image = shoot(screens.photographed(image, rng, style), rng, style, tilt=2.5)
            medium = "screen_photo"
        elif rng.chance(0.5):
            suffix = "png"
    else:
        image, facts = made.draw(rng, style, rng.choice(_PHOTO_SIZES))
        if medium == "photo":
            image = shoot(image, rng, style, tilt=made.tilt)
        elif medium == "shot":
            medium = "photo"
    facts = {"subject": subject, "medium": medium, "text": "no", **facts}
    return Scene(image, made.label, subject, facts, suffix)


def encode(scene: Scene, seed: int) -> bytes:
    """Return the bytes of a file; the same for the same scene and seed. JPEGs vary in quality, and
    some are compressed twice, as a messenger does."""
    buffer = io.BytesIO()
    if scene.suffix == "png":
        scene.image.save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()
    rng = SeededRandom("encode", seed)
    image = scene.image
    if rng.chance(0.25):
        image.save(buffer, "JPEG", quality=rng.integer(40, 70))
        with Image.open(buffer) as forwarded:
            image = forwarded.convert("RGB")
        buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=rng.integer(58, 93))
    return buffer.getvalue()
