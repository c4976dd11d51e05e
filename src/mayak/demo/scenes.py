"""Every subject by name: rendered as a scene and encoded as a file."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from mayak.demo import chats, drugs, ordinary, places, screens
from mayak.demo.camera import shoot
from mayak.demo.canvas import Dice, Facts, Picture, Style

_Photo = Callable[[Dice, Style, tuple[int, int]], Picture]
_Screen = Callable[[Dice, Style], Picture]

_PHOTOS: dict[str, tuple[int, _Photo]] = {
    "street": (0, ordinary.street),
    "building": (0, ordinary.building),
    "room": (0, ordinary.room),
    "landscape": (0, ordinary.landscape),
    "plain_wall": (0, ordinary.plain_wall),
    "food": (0, ordinary.food),
    "sweets": (0, ordinary.sweets),
    "blister_pack": (0, ordinary.blister_pack),
    "medicine_bottle": (0, ordinary.medicine_bottle),
    "cooking": (0, ordinary.cooking),
    "coffee": (0, ordinary.coffee),
    "pet": (0, ordinary.pet),
    "receipt": (0, screens.receipt),
    "document": (0, screens.document),
    "gas_meter": (2, places.gas_meter),
    "electric_meter": (2, places.electric_meter),
    "mailbox": (2, places.mailbox),
    "air_conditioner": (2, places.air_conditioner),
    "drain": (2, places.drain),
    "planter": (2, places.planter),
    "stairs": (2, places.stairs),
    "powder": (3, drugs.powder),
    "crystals": (3, drugs.crystals),
    "tablets": (3, drugs.tablets),
    "baggie": (3, drugs.baggie),
    "dried_leaf": (3, drugs.dried_leaf),
}
_SCREENS: dict[str, tuple[int, _Screen]] = {
    "ordinary_chat": (0, chats.ordinary_chat),
    "app_screenshot": (0, screens.app_screenshot),
    "drug_chat": (1, chats.drug_chat),
}
_PICTURES: dict[str, tuple[int, _Photo]] = {"meme": (0, screens.meme)}
_SIZES = ((640, 480), (480, 640), (720, 540), (800, 600), (600, 800))

SUBJECTS: dict[str, int] = {
    name: label for table in (_PHOTOS, _SCREENS, _PICTURES) for name, (label, _) in table.items()
}
"""Subject → label."""

WEIGHTS: dict[str, float] = {"ordinary_chat": 5.0, "app_screenshot": 2.0}
"""How often a subject is drawn among those of its label; 1 where nothing is said. Chats are the
hardest negatives of label 1."""


@dataclass(frozen=True)
class Scene:
    """A rendered image (RGB) and all that is known of it."""

    image: Image.Image
    label: int
    subject: str
    facts: Facts
    """What can be asked of it; stable English keys and values."""
    suffix: Literal["jpg", "png"]


def render(subject: str, seed: int, style: Style) -> Scene:
    """Draw one scene; the same for the same arguments, everywhere. Raises KeyError for an unknown
    subject."""
    dice = Dice(subject, seed, style)
    if subject in _SCREENS:
        label, screen = _SCREENS[subject]
        image, facts = screen(dice, style)
        return Scene(image, label, subject, facts, "png" if dice.chance(0.7) else "jpg")
    size = dice.pick(_SIZES)
    if subject in _PICTURES:
        label, photo = _PICTURES[subject]
        image, facts = photo(dice, style, size)
        return Scene(image, label, subject, facts, "jpg")
    label, photo = _PHOTOS[subject]
    image, facts = photo(dice, style, size)
    image = shoot(image, dice, style, night=facts.get("time") == "night")
    return Scene(image, label, subject, facts, "jpg")


def encode(scene: Scene, seed: int) -> bytes:
    """The scene as a file's bytes: PNG for most screenshots, JPEG of varying quality otherwise."""
    dice = Dice("encode", seed)
    buffer = io.BytesIO()
    if scene.suffix == "png":
        scene.image.save(buffer, "PNG", compress_level=3)
    else:
        scene.image.save(buffer, "JPEG", quality=dice.whole(45, 92))
    return buffer.getvalue()
