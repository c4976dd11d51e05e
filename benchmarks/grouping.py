"""Which drawn pictures `mayak prepare` puts into one group: ``python benchmarks/grouping.py``.

1. Photos by a hand that moved, turned, zoomed, and all of it with another brightness: the share of
   pairs that the scene features join, and that PDQ joins.
2. Screenshots of one chat, scrolled by a share of the messages' area: the same.
3. Pairs that are not one scene and are joined all the same: photos of one subject, chats of other
   people on one phone in one app (one font, one size, one theme), plain pictures.
4. Seconds for the features of a picture, and for the comparison of all of them.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import time
from collections.abc import Iterator
from itertools import combinations

import numpy as np
from PIL import Image, ImageEnhance

from mayak.imaging.hashing import PDQ_MATCH_DISTANCE, PerceptualHash, perceptual_hash
from mayak.imaging.scenes import SceneFeatures, linked_scenes, same_scene, scene_features
from mayak_synthetic import chats
from mayak_synthetic.camera import moved
from mayak_synthetic.canvas import BASE_FONTS, SeededRandom
from mayak_synthetic.scenes import SUBJECTS, render

SCREENS = ("ordinary_chat", "drug_chat", "app_screenshot", "meme", "receipt", "document")
PHOTOS = [subject for subject in SUBJECTS if subject not in SCREENS]
SCROLLS = (0.06, 0.12, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
MOVES = (
    "shift 1 %",
    "shift 2 %",
    "shift 4 %",
    "turn 2°",
    "zoom 4 %",
    "all, 6 % brighter or darker",
)
Look = tuple[SceneFeatures, PerceptualHash]


class OnePhone(SeededRandom):
    """Random numbers of chats that are all on one phone, in one messenger."""

    theme = chats.THEMES_BASE[0]

    def chance(self, probability: float) -> bool:
        """No messenger of custom colours."""
        return super().chance(0.0 if probability == chats.OWN_THEMES else probability)

    def uniform(self, low: float, high: float) -> float:
        """One size of letters."""
        value = super().uniform(low, high)
        return 1.05 if (low, high) == (1.0, 1.1) else value

    def choice(self, values):  # noqa: ANN001, ANN201 - as the method that it replaces
        """One theme and one font."""
        value = super().choice(values)
        if values is chats.THEMES_BASE:
            return self.theme
        return values[0] if values is BASE_FONTS else value


def looked_at(image: Image.Image, quality: int = 85) -> Look:
    """What ``prepare`` computes of a picture that was saved as JPEG."""
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    with Image.open(data) as saved:
        read = saved.convert("RGB")
    return scene_features(read), perceptual_hash(read)


def by_pdq(one: PerceptualHash, other: PerceptualHash) -> bool:
    """Whether PDQ joins two pictures."""
    bits = (int.from_bytes(one.bits) ^ int.from_bytes(other.bits)).bit_count()
    return one.usable and other.usable and bits <= PDQ_MATCH_DISTANCE


def frames(image: Image.Image, rng: np.random.Generator) -> Iterator[Image.Image]:
    """A photo, and the photo after each of ``MOVES``, all with the noise of a sensor."""

    def noisy(frame: Image.Image) -> Image.Image:
        noise = rng.normal(0, 4, (*frame.size[::-1], 3))
        return Image.fromarray((np.asarray(frame) + noise).clip(0, 255).astype(np.uint8))

    def away(far: float) -> tuple[float, float]:
        way = rng.uniform(0, 2 * math.pi)
        return far * math.cos(way), far * math.sin(way)

    turn, zoom = float(rng.choice((-2, 2))), float(rng.choice((0.96, 1.04)))
    yield noisy(image)
    for far in (0.01, 0.02, 0.04):
        yield noisy(moved(image, shift=away(far)))
    yield noisy(moved(image, degrees=turn))
    yield noisy(moved(image, zoom=zoom))
    whole = moved(image, shift=away(rng.uniform(0.01, 0.04)), degrees=turn, zoom=zoom)
    yield noisy(ImageEnhance.Brightness(whole).enhance(float(rng.choice((0.94, 1.06)))))


def joined(pairs: list[tuple[Look, Look]]) -> dict[str, float]:
    """The share of pairs that are joined."""
    scene = [same_scene(one[0], other[0]) for one, other in pairs]
    pdq = [by_pdq(one[1], other[1]) for one, other in pairs]
    either = [a or b for a, b in zip(scene, pdq, strict=True)]
    return {"pairs": len(pairs)} | {
        name: round(float(np.mean(found)), 4)
        for name, found in (("scene", scene), ("pdq", pdq), ("either", either))
    }


def main() -> None:
    """Draw, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=4, help="of each subject")
    parser.add_argument("--chats", type=int, default=40)
    asked = parser.parse_args()
    everything: list[SceneFeatures] = []

    # 1. Photos.
    bursts: dict[str, list[list[Look]]] = {}
    for subject in PHOTOS:
        for seed in range(asked.scenes):
            image = render(subject, 7000 + seed, "base").image
            looks = [looked_at(frame) for frame in frames(image, np.random.default_rng(seed))]
            bursts.setdefault(subject, []).append(looks)
            everything += [look[0] for look in looks]
    for number, name in enumerate(MOVES, 1):
        pairs = [(looks[0], looks[number]) for its in bursts.values() for looks in its]
        print(json.dumps({"moved": name} | joined(pairs)), flush=True)

    # 2. Chats.
    scrolled: list[list[Look]] = []
    seed = 9000
    while len(scrolled) < asked.chats:
        seed += 1
        subject = ("drug_chat", "ordinary_chat")[seed % 2]
        pages = [render(subject, seed, "base", scroll) for scroll in (0, *SCROLLS)]
        if pages[0].facts["medium"] == "screenshot":  # not a photo of the screen
            scrolled.append([looked_at(page.image) for page in pages])
    for number, scroll in enumerate(SCROLLS, 1):
        found = joined([(looks[0], looks[number]) for looks in scrolled])
        print(json.dumps({"scrolled": scroll} | found), flush=True)

    # 3. What is not one scene.
    pairs = [p for its in bursts.values() for p in combinations((looks[0] for looks in its), 2)]
    print(json.dumps({"other scenes of one subject": joined(pairs)}), flush=True)
    for theme in (0, 3, 4):
        OnePhone.theme = chats.THEMES_BASE[theme]
        drawers = (chats.drug_chat, chats.ordinary_chat)
        looks = [
            looked_at(drawers[seed % 2](OnePhone("phone", theme, seed), "base", (540, 1150))[0])
            for seed in range(asked.chats)
        ]
        everything += [look[0] for look in looks]
        name = f"other chats of one phone, {OnePhone.theme.name}"
        print(json.dumps({name: joined(list(combinations(looks, 2)))}), flush=True)
    plain = [looked_at(Image.new("RGB", (640, 480), (c, c, c))) for c in range(0, 256, 16)]
    print(json.dumps({"plain pictures": joined(list(combinations(plain, 2)))}), flush=True)

    # 4. Speed.
    picture = render("street", 1, "base").image
    began = time.perf_counter()
    for _ in range(20):
        scene_features(picture)
    each = (time.perf_counter() - began) / 20
    checked = []
    began = time.perf_counter()
    linked_scenes(everything, range(len(everything)), lambda: checked.append(1))
    seconds = time.perf_counter() - began
    print(
        json.dumps(
            {
                "features_ms": round(each * 1000, 1),
                "pictures": len(everything),
                "pairs_checked": len(checked),
                "comparison_s": round(seconds, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
