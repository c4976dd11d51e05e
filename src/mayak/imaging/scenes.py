"""Scene likeness: do two pictures show one scene, or one scrolled screen, without a model?

Corners with binary descriptors (after Harris & Stephens 1988, Shi & Tomasi 1994 and BRIEF, Calonder
et al. 2010), candidates by equal bits of the descriptors (locality-sensitive hashing), and a
geometric check: a small move, turn and zoom of a hand-held camera, or a vertical shift of a screen.
Pictures that were mirrored, turned or moved by more are not recognised.

All arithmetic is on integers or elementwise, so that every machine finds the same groups.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_LONG_SIDE = 400
"""Pixels of the longer side that is examined: letters of a chat have 8 or more."""
_CORNERS = 300
"""Corners of a picture, at most; the strongest of each of 8 × 8 cells come first."""
_CELLS = 8
_RADIUS = 13
"""Pixels around a corner that its descriptor compares: two letters of a chat."""
_MARGIN = _RADIUS + 3
_WORDS = 4
"""Descriptors have 256 bits, in four words."""
_MIN_STRENGTH = 400.0
"""Smaller eigenvalue of the structure tensor, at least; noise of a dark photo stays below."""

_MIN_EQUAL_KEYS = 8
"""Equal keys that moved alike, at least, of two pictures that are checked. A key is an eighth of a
descriptor, 32 bits: of one corner in two hand-held pictures, whose descriptors differ in a tenth of
their bits, every fourth has one; all drawn pairs of one scene have eight, 1.5 % of others."""
_CELL = 32
"""Side of a cell of moves, in pixels."""
_CELLS_WIDE = 2 * _LONG_SIDE // _CELL + 2
_NEIGHBOURS = 3
"""Pictures with an equal key that each is paired with. Thousands may show the bars of one app, and
all pairs of them would be millions; chains link a group as well."""

_MATCH_BITS = 64
"""Differing bits of one corner in two pictures, at most: unrelated ones differ in 128 ± 20."""
_TOLERANCE = 3.0
"""Pixels between a corner and its predicted position."""
_MAX_TURN, _MAX_ZOOM, _MAX_SHIFT = np.radians(8), 1.15, 0.2
"""Of a hand-held camera; the shift is a share of the longer side. A scroll is checked otherwise."""
_MIN_BASE = 20.0
"""Pixels between two corners that a move is computed from."""
_MOVES = 150

_MIN_MATCHES = 8
_SHARE = 0.42
"""Share of the corners in the common part that agree, at least. Hand-held pairs: mostly .5 to .9;
different scenes: mostly below .3, one label of a medicine on two tables up to .57."""
_SCROLL = 4
"""Pixels of a scroll, at least: less is a move."""
_MIN_SCROLLED = 18
_SCROLL_SHARE = 0.5
_SCROLL_LINES = 20
"""Pixels between the highest and the lowest corner that scrolled, at least: more than a bubble of
one line, because two chats may have a message in common."""


@dataclass(frozen=True, slots=True)
class SceneFeatures:
    """The corners of a picture."""

    size: tuple[int, int]
    """Width and height of the shrunk picture."""
    at: NDArray[np.int16]
    """(N, 2), x and y."""
    bits: NDArray[np.uint64]
    """(N, 4), descriptors."""


def scene_features(image: Image.Image) -> SceneFeatures:
    """Return the corners of an upright picture; ``thumbnails.overview`` of it is enough."""
    grey = image.convert("L")
    width, height = (max(round(side * _LONG_SIDE / max(grey.size)), 1) for side in grey.size)
    grey = grey.resize((width, height), Image.Resampling.BILINEAR)
    luma = np.asarray(grey, dtype=np.int32)
    if min(luma.shape) <= 2 * _MARGIN:
        empty = np.empty((0, 2), np.int16), np.empty((0, _WORDS), np.uint64)
        return SceneFeatures(grey.size, *empty)
    x, y = _strongest(_strength(luma))
    return SceneFeatures(grey.size, np.stack([x, y], 1).astype(np.int16), _descriptors(luma, x, y))


def _strength(luma: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the smaller eigenvalue of the structure tensor of each pixel, 0 near the edge."""
    smooth = _box(luma, 1)
    across, down = np.zeros_like(smooth), np.zeros_like(smooth)
    across[:, 1:-1] = smooth[:, 2:] - smooth[:, :-2]
    down[1:-1] = smooth[2:] - smooth[:-2]
    xx, yy, xy = (
        _box(product // 64, 2).astype(np.float64)
        for product in (across * across, down * down, across * down)
    )
    strength = (xx + yy) / 2 - np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    inside: NDArray[np.float64] = np.zeros_like(strength)
    part = np.s_[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    inside[part] = strength[part]
    return inside


def _strongest(strength: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return x and y of the corners: local maxima, those first that are strong in their cell."""
    # Here, so that worker processes that decode start without it.
    from scipy.ndimage import maximum_filter

    peaks = (strength == maximum_filter(strength, size=5)) & (strength > _MIN_STRENGTH)
    y, x = np.nonzero(peaks)
    order = np.lexsort((x, y, -strength[y, x]))
    y, x = y[order], x[order]
    height, width = strength.shape
    cell = y * _CELLS // height * _CELLS + x * _CELLS // width
    rank = np.empty(len(cell), dtype=np.intp)
    for one in np.unique(cell):
        members = np.flatnonzero(cell == one)
        rank[members] = np.arange(len(members))
    kept = np.lexsort((np.arange(len(rank)), rank))[:_CORNERS]
    return x[kept], y[kept]


def _sampled_pairs() -> NDArray[np.int64]:
    """Return (4, 256): x and y of the two points that each bit of a descriptor compares."""
    points = np.random.default_rng(1).normal(0, _RADIUS / 2.2, (4, 64 * _WORDS))
    return np.rint(points).clip(-_RADIUS, _RADIUS).astype(np.int64)


_PAIRS = _sampled_pairs()


def _descriptors(
    luma: NDArray[np.int32], x: NDArray[np.intp], y: NDArray[np.intp]
) -> NDArray[np.uint64]:
    smooth = _box(luma, 2)
    first_x, first_y, second_x, second_y = _PAIRS
    first = smooth[y[:, None] + first_y, x[:, None] + first_x]
    second = smooth[y[:, None] + second_y, x[:, None] + second_x]
    return np.packbits(first < second, axis=1).view(np.uint64)


def _box(values: NDArray[np.int32], radius: int) -> NDArray[np.int32]:
    """Return the sums over squares of 2 · radius + 1 pixels; edge pixels count several times."""
    side = 2 * radius + 1
    for _ in ("rows", "columns"):
        padded = np.pad(values, ((radius + 1, radius), (0, 0)), mode="edge")
        sums = np.cumsum(padded, axis=0, dtype=np.int32)
        values = np.ascontiguousarray((sums[side:] - sums[:-side]).T)
    return values


def linked_scenes(
    pictures: Sequence[SceneFeatures], groups: Sequence[int], progress: Callable[[], None]
) -> list[tuple[int, int]]:
    """Return pairs of pictures that show one scene, enough to link all that do.

    Pictures of one group (``groups`` has a number per picture) are linked already, and are not
    checked.
    ``progress`` is called once per checked pair.
    """
    root = list(groups)
    members: dict[int, list[int]] = {}
    for picture, group in enumerate(root):
        members.setdefault(group, []).append(picture)
    links = []
    for one, other in candidates(pictures):
        progress()
        if root[one] == root[other] or not same_scene(pictures[one], pictures[other]):
            continue
        links.append((one, other))
        joined = members.pop(root[other])
        members[root[one]] += joined
        for picture in joined:
            root[picture] = root[one]
    return links


def candidates(pictures: Sequence[SceneFeatures]) -> list[tuple[int, int]]:
    """Return pairs of pictures (indices, ascending) that may show one scene: enough corners have
    an equal key and moved alike. Those with most such corners come first."""
    owners = np.repeat(np.arange(len(pictures)), [len(picture.at) for picture in pictures])
    at = np.concatenate([picture.at for picture in pictures]).astype(np.int64)
    votes = []
    for keys in np.concatenate([picture.bits for picture in pictures]).view(np.uint32).T:
        order = np.lexsort((owners, keys))
        key, owner = keys[order], owners[order]
        for step in range(1, _NEIGHBOURS + 1):
            equal = np.flatnonzero((key[step:] == key[:-step]) & (owner[step:] != owner[:-step]))
            pair = owner[equal] * len(pictures) + owner[equal + step]
            moved = at[order[equal + step]] - at[order[equal]] + _LONG_SIDE
            # Cells that overlap by half, so that no border parts what moved alike.
            for number, offset in enumerate((0, _CELL // 2)):
                across, down = ((moved + offset) // _CELL).T
                votes.append(((pair * _CELLS_WIDE + across) * _CELLS_WIDE + down) * 2 + number)
    vote, count = np.unique(np.concatenate(votes), return_counts=True)
    pair = vote // (2 * _CELLS_WIDE**2)
    pair, start = np.unique(pair, return_index=True)
    best = np.maximum.reduceat(count, start) if len(pair) else count
    order = np.lexsort((pair, -best))[: int((best >= _MIN_EQUAL_KEYS).sum())]
    one, other = np.divmod(pair[order], len(pictures))
    return list(zip(one.tolist(), other.tolist(), strict=True))


def same_scene(one: SceneFeatures, other: SceneFeatures) -> bool:
    """Return whether two pictures show one scene, or parts of one scrolled screen; the order does
    not matter."""
    if min(len(one.at), len(other.at)) < _MIN_MATCHES:
        return False
    distances = np.zeros((len(one.at), len(other.at)), dtype=np.uint16)
    for first, second in zip(one.bits.T, other.bits.T, strict=True):
        distances += np.bitwise_count(first[:, None] ^ second)
    near = distances <= _MATCH_BITS
    return _moved(one, other, distances, near) or _scrolled(one, other, near)


def _moved(
    one: SceneFeatures,
    other: SceneFeatures,
    distances: NDArray[np.uint16],
    near: NDArray[np.bool_],
) -> bool:
    """Return whether one move, turn and zoom takes the corners of one picture to the other's."""
    # 1. Match each corner with the one that is most like it, if that is mutual.
    to, back = distances.argmin(axis=1), distances.argmin(axis=0)
    row = np.flatnonzero(back[to] == np.arange(len(to)))
    row = row[near[row, to[row]]]
    if len(row) < _MIN_MATCHES:
        return False
    start, end = _complex(one.at[row]), _complex(other.at[to[row]])
    # 2. Compute moves from pairs of matches; the one that most matches agree with counts.
    first, second = np.random.default_rng(len(row)).integers(0, len(row), (2, _MOVES))
    base = start[first] - start[second]
    usable = np.abs(base) >= _MIN_BASE
    first, base = first[usable], base[usable]
    factor = (end[first] - end[second[usable]]) / base
    shift = end[first] - factor * start[first]
    middle = complex(*one.size) / 2
    small = (
        (np.abs(np.angle(factor)) <= _MAX_TURN)
        & (np.abs(np.log(np.abs(factor).clip(1e-9))) <= np.log(_MAX_ZOOM))
        & (np.abs(factor * middle + shift - middle) <= _MAX_SHIFT * max(one.size))
    )
    factor, shift = factor[small], shift[small]
    if not len(factor):
        return False
    away = np.abs(factor[:, None] * start + shift[:, None] - end)
    agreeing = (away <= _TOLERANCE).sum(axis=1)
    best = int(agreeing.argmax())
    if agreeing[best] < _MIN_MATCHES:
        return False
    # 3. Compare their number with that of the corners in the part that both pictures show.
    moved = factor[best] * _complex(one.at) + shift[best]
    moved_back = (_complex(other.at) - shift[best]) / factor[best]
    common = min(_inside(moved, other.size), _inside(moved_back, one.size))
    return bool(agreeing[best] >= _SHARE * common)


def _scrolled(one: SceneFeatures, other: SceneFeatures, near: NDArray[np.bool_]) -> bool:
    """Return whether a vertical shift takes a screen's contents to the other's, while its bars may
    have stayed where they were."""
    if one.size != other.size:
        return False
    rows, columns = np.nonzero(near)
    apart = other.at[columns].astype(np.int64) - one.at[rows]
    level = np.abs(apart[:, 0]) <= 1
    rows, columns, down = rows[level], columns[level], apart[level, 1]
    # 1. What is at the same place in both stays out: bars, and the wallpaper.
    still = np.abs(down) <= 1
    fixed, fixed_other = np.zeros(len(one.at), bool), np.zeros(len(other.at), bool)
    fixed[rows[still]] = True
    fixed_other[columns[still]] = True
    free = ~fixed[rows] & ~fixed_other[columns]
    rows, columns, down = rows[free], columns[free], down[free]
    height = one.size[1]
    # 2. Try the shifts that enough corners agree with.
    counts = np.convolve(np.bincount(down + height, minlength=2 * height + 1), (1, 1, 1), "same")
    counts[height - _SCROLL : height + _SCROLL + 1] = 0
    for shift in np.flatnonzero(counts >= _MIN_SCROLLED) - height:
        agree = np.abs(down - shift) <= 1
        found = one.at[np.unique(rows[agree]), 1]
        count = min(len(found), len(np.unique(columns[agree])))
        if count < _MIN_SCROLLED or np.ptp(found) < _SCROLL_LINES:
            continue
        # 3. Compare their number with that of the other corners in the common part.
        common = min(
            _within(one.at[~fixed, 1], shift, height),
            _within(other.at[~fixed_other, 1], -shift, height),
        )
        if count >= _SCROLL_SHARE * common:
            return True
    return False


def _within(y: NDArray[np.int16], shift: int, height: int) -> int:
    """Return how many rows are where corners can be also after a shift."""
    return int(((y + shift >= _MARGIN) & (y + shift < height - _MARGIN)).sum())


def _complex(at: NDArray[np.int16]) -> NDArray[np.complex128]:
    """Return positions (N, 2) as x + iy: a turn and zoom is then a multiplication."""
    values: NDArray[np.complex128] = at[:, 0] + 1j * at[:, 1]
    return values


def _inside(positions: NDArray[np.complex128], size: tuple[int, int]) -> int:
    """Return how many positions are where corners can be in a picture of this size."""
    x, y = positions.real, positions.imag
    within = (x >= _MARGIN) & (x < size[0] - _MARGIN) & (y >= _MARGIN) & (y < size[1] - _MARGIN)
    return int(within.sum())
