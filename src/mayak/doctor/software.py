"""Checks of Python, torch, the libraries, fonts, image formats and SQLite."""

from __future__ import annotations

import io
import platform
import sqlite3
import struct
import sys
from typing import Any

from PIL import Image, ImageFont

from mayak.doctor.check import Check, Machine, reinstall
from mayak.errors import MayakError
from mayak.fonts import FONTS, font_path
from mayak.i18n import join, msg
from mayak.imaging import decode
from mayak.imaging.formats import is_decoded

_KOREAN = "한글 마약 대화 0123"


def python(_: Machine) -> Check:
    version = platform.python_version()
    bits = struct.calcsize("P") * 8
    detail = f"{version}, {bits} bit, {platform.system()} {platform.machine()}"
    good = sys.version_info >= (3, 11) and bits == 64
    return Check(
        "python",
        "Python",
        "ok" if good else "fault",
        detail,
        "" if good else msg("use 64-bit Python 3.11 or newer"),
        {"version": version, "bits": bits},
    )


def torch(machine: Machine) -> Check:
    report = machine.reports["torch"]
    if "error" in report:
        detail = msg("cannot be loaded: ") + report["error"]
        return Check("torch", "PyTorch", "fault", detail, reinstall())
    build = f"CUDA {report['cuda']}" if report["cuda"] else "CPU"
    detail = f"{report['version']} ({build})"
    return Check("torch", "PyTorch", "ok", detail, figures=_pick(report, "version", "cuda"))


def libraries(machine: Machine) -> Check:
    title = msg("libraries")
    report = machine.reports["libraries"]
    broken = report.get("broken", {"all": report.get("error", "")})
    if broken:
        faults = join("; ", [f"{name}: " + error for name, error in broken.items()])
        return Check("libraries", title, "fault", faults, reinstall(), {"broken": broken})
    versions = report["versions"]
    detail = ", ".join(f"{name} {version}" for name, version in versions.items())
    return Check("libraries", title, "ok", detail, figures={"versions": versions})


def bitsandbytes(machine: Machine) -> Check:
    report = machine.reports["bitsandbytes"]
    if "error" in report:
        detail = msg("4-bit weights do not work: ") + report["error"]
        remedy = reinstall() + msg("; until then give --precision bf16 or fp32")
        return Check("bitsandbytes", "bitsandbytes", "warning", detail, remedy)
    where = ", ".join(report["devices"])
    detail = report["version"] + msg(", nf4 works on {where}", where=where)
    figures = _pick(report, "version", "devices")
    return Check("bitsandbytes", "bitsandbytes", "ok", detail, figures=figures)


def fonts(_: Machine) -> Check:
    title = msg("Korean fonts")
    faults: list[str] = []
    for name in FONTS:
        try:
            font = ImageFont.truetype(str(font_path(name)), 24)
            # A font draws the same "missing" box for every character without a glyph.
            drawn = {bytes(font.getmask(sign)) for sign in _KOREAN if sign != " "}
            if len(drawn) < len(set(_KOREAN) - {" "}):
                faults.append(msg("{name} lacks Korean glyphs", name=name))
        except (MayakError, OSError, ImportError) as error:
            faults.append(f"{name}: " + getattr(error, "message", str(error)))
    if faults:
        return Check("fonts", title, "fault", join("; ", faults), reinstall())
    detail = msg("{n_fonts} shipped, all render", n_fonts=len(FONTS))
    return Check("fonts", title, "ok", detail, figures={"fonts": list(FONTS)})


def codecs(_: Machine) -> Check:
    title = msg("image formats")
    works = {
        name: _reads_back(name) for name in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "JPEG2000")
    }
    works["HEIC"] = is_decoded("HEIF")
    lacks = [name for name, good in works.items() if not good]
    figures = {"formats": works}
    detail = ", ".join(name for name, good in works.items() if good)
    if not lacks:
        return Check("codecs", title, "ok", detail, figures=figures)
    detail += msg("; not: ") + ", ".join(lacks)
    if {"JPEG", "PNG"} & set(lacks):
        return Check("codecs", title, "fault", detail, reinstall(), figures)
    remedy = (
        msg("pip install 'mayak[heic]' (its wheel bundles GPL codecs)")
        if lacks == ["HEIC"]
        else reinstall()
    )
    return Check("codecs", title, "warning", detail, remedy, figures)


def _reads_back(name: str) -> bool:
    """Return whether an image can be written in a format and decoded again."""
    image = Image.new("RGB", (32, 32), "white")
    written = io.BytesIO()
    try:
        image.save(written, format=name)
        return decode(written.getvalue()).pixels.shape == (32, 32, 3)
    except (MayakError, OSError, KeyError, ImportError):
        return False


def sqlite(_: Machine) -> Check:
    version = sqlite3.sqlite_version_info
    faulty = wal_reset_bug(version)
    detail = ".".join(map(str, version))
    if faulty:
        detail += msg(
            ", with the WAL-reset bug (repaired in 3.51.3, 3.50.7, 3.44.6); no command of this "
            "version of mayak uses WAL"
        )
    return Check("sqlite", "SQLite", "ok", detail, figures={"wal_reset_bug": faulty})


def wal_reset_bug(version: tuple[int, ...]) -> bool:
    """Return whether this SQLite version can corrupt a database in WAL mode (WAL-reset bug)."""
    if version >= (3, 51, 3):
        return False
    return not ((3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45))


def _pick(report: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: report[name] for name in names}
