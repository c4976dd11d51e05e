"""EXIF: when, with which device and where a picture was taken."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from PIL import ExifTags, Image

_IFD = ExifTags.IFD
_BASE = ExifTags.Base
_GPS = ExifTags.GPS

_TEXT_LENGTH = 200
"""Characters kept of a text field; a maker's notes can have megabytes."""


@dataclass(frozen=True, slots=True)
class Location:
    """A position in WGS 84: degrees, north and east positive; height in metres or None."""

    latitude: float
    longitude: float
    altitude: float | None = None


@dataclass(frozen=True, slots=True)
class Metadata:
    """What EXIF states; a field is None if it is absent or not valid.

    ``taken`` and ``digitised`` are times of the camera's clock, with a time zone only if the file
    states one. ``fixed`` is the time of the satellite fix, in UTC. Anybody can write EXIF: it is a
    statement, not a fact.
    """

    taken: datetime | None = None
    digitised: datetime | None = None
    fixed: datetime | None = None
    make: str | None = None
    model: str | None = None
    software: str | None = None
    location: Location | None = None


def metadata(image: Image.Image) -> Metadata:
    """Return the EXIF of an open image, as far as it can be read. Never raises."""
    try:
        exif = image.getexif()
        camera = exif.get_ifd(_IFD.Exif)
        satellite = exif.get_ifd(_IFD.GPSInfo)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error):
        return Metadata()
    return Metadata(
        taken=_time(camera, _BASE.DateTimeOriginal, _BASE.OffsetTimeOriginal),
        digitised=_time(camera, _BASE.DateTimeDigitized, _BASE.OffsetTimeDigitized),
        fixed=_fix(satellite),
        make=_text(exif.get(_BASE.Make)),
        model=_text(exif.get(_BASE.Model)),
        software=_text(exif.get(_BASE.Software)),
        location=_location(satellite),
    )


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(value, str):
        return None
    # EXIF texts are ASCII, which Pillow reads as Latin-1; many devices write UTF-8.
    with suppress(UnicodeError):
        value = value.encode("latin-1").decode("utf-8")
    # Fixed-width fields are padded with NULs or blanks; unprintable characters are dropped.
    kept = "".join(c if c.isprintable() else " " for c in value.split("\0")[0])
    return " ".join(kept.split())[:_TEXT_LENGTH] or None


def _time(fields: Mapping[int, Any], moment: int, offset: int) -> datetime | None:
    text = _text(fields.get(moment))
    if text is None:
        return None
    with suppress(ValueError):
        found = datetime.strptime(text, "%Y:%m:%d %H:%M:%S")
        return found.replace(tzinfo=_zone(_text(fields.get(offset))))
    return None


def _zone(text: str | None) -> timezone | None:
    with suppress(ValueError, OverflowError):
        return timezone(_offset(text)) if text else None
    return None


def _offset(text: str) -> timedelta:
    """Parse ``+09:00``. Raises ValueError."""
    sign = {"+": 1, "-": -1}.get(text[0])
    hours, colon, minutes = text[1:].partition(":")
    if sign is None or not colon:
        raise ValueError(text)
    return sign * timedelta(hours=int(hours), minutes=int(minutes))


def _fix(fields: Mapping[int, Any]) -> datetime | None:
    day, clock = _text(fields.get(_GPS.GPSDateStamp)), fields.get(_GPS.GPSTimeStamp)
    with suppress(ValueError, TypeError, OverflowError):
        if day is None or clock is None:
            return None
        hours, minutes, seconds = (float(part) for part in clock)
        start = datetime.strptime(day, "%Y:%m:%d").replace(tzinfo=UTC)
        return start + timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return None


def _location(fields: Mapping[int, Any]) -> Location | None:
    latitude = _degrees(fields, _GPS.GPSLatitude, _GPS.GPSLatitudeRef, "NS", 90.0)
    longitude = _degrees(fields, _GPS.GPSLongitude, _GPS.GPSLongitudeRef, "EW", 180.0)
    if latitude is None or longitude is None:
        return None
    if latitude == longitude == 0.0:  # what cameras without a fix write
        return None
    return Location(latitude, longitude, _altitude(fields))


def _degrees(
    fields: Mapping[int, Any], value: int, reference: int, signs: str, most: float
) -> float | None:
    side = (_text(fields.get(reference)) or "").upper()
    if side not in (signs[0], signs[1]):
        return None
    with suppress(ValueError, TypeError, KeyError, ArithmeticError):
        degrees, minutes, seconds = (float(part) for part in fields[value])
        found = degrees + minutes / 60 + seconds / 3600
        if math.isfinite(found) and 0 <= found <= most:
            return found if side == signs[0] else -found
    return None


def _altitude(fields: Mapping[int, Any]) -> float | None:
    with suppress(ValueError, TypeError, KeyError, ArithmeticError):
        height = float(fields[_GPS.GPSAltitude])
        below = fields.get(_GPS.GPSAltitudeRef) in (1, b"\x01")
        if math.isfinite(height):
            return -height if below else height
    return None
