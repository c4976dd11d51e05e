"""Makes the disk images beside this script, from Debian's own tools and pycdlib.

    apt-get install dosfstools mtools e2fsprogs ntfs-3g ewf-tools fdisk xz-utils genisoimage
    .venv/bin/pip install pycdlib
    .venv/bin/python tests/evidence/make_fixtures.py    (as root: NTFS is filled through FUSE)

Each holds the same few files, made here: DCIM/사진.jpg and 100.jpg are live, DCIM/gone.jpg is
deleted, archive.zip holds inner.jpg; NTFS has a stream and a lost file more, ISO 9660, HFS+ and
UFDR lack the deleted one; backup.E01 holds an iPhone's encrypted backup. What they are is in
``CONTENT``; tests compare with it.
exFAT has no tool that fills it without mounting, so the demo's own writer makes that image. HFS+
has none at all, so ``hfsplus.py`` does; the Sleuth Kit finds no deleted files there.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from hfsplus import volume as hfsplus_volume

from mayak_synthetic.exfat import volume as exfat_volume

sys.path.append(str(Path(__file__).parents[1]))
from phone_backups import IosFile, Keybag, ios_backup

HERE = Path(__file__).parent / "images"


def picture(name: str, size: int = 3000) -> bytes:
    """A file that starts and ends like a JPEG, its middle fixed by its name; no image inside."""
    blocks = (hashlib.sha256(f"{name}{i}".encode()).digest() for i in range(size // 32 + 1))
    return b"\xff\xd8\xff\xe0" + b"".join(blocks)[: size - 6] + b"\xff\xd9"


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(zipfile.ZipInfo("inner.jpg"), CONTENT["inner.jpg"])
    return buffer.getvalue()


CONTENT = {name: picture(name) for name in ("사진.jpg", "100.jpg", "gone.jpg", "inner.jpg")}
CONTENT["archive.zip"] = archive()
BACKED_UP = [
    IosFile("CameraRollDomain", f"Media/DCIM/100APPLE/{name}", CONTENT[name])
    for name in ("사진.jpg", "100.jpg")
]


MODIFIED, ACCESSED = 1_772_362_800, 1_772_366_400
"""2026-03-01 11:00 and 12:00 UTC: of the files of ``rock_ridge``."""


def run(
    *command: str | Path, text: str | None = None, env: Mapping[str, str] = MappingProxyType({})
) -> None:
    subprocess.run(
        [str(part) for part in command],
        check=True,
        input=text,
        encoding="utf-8",
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC", **env},
        stdout=subprocess.DEVNULL,
    )


def blank(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


def tree(folder: Path) -> Path:
    (folder / "DCIM").mkdir(parents=True)
    for name in ("사진.jpg", "100.jpg", "gone.jpg"):
        (folder / "DCIM" / name).write_bytes(CONTENT[name])
    (folder / "archive.zip").write_bytes(CONTENT["archive.zip"])
    return folder


def fat(path: Path, files: Path) -> Path:
    run("mkfs.vfat", "-n", "PHONE", "-i", "12345678", blank(path, 1 << 20))
    run("mcopy", "-s", "-i", path, files / "DCIM", files / "archive.zip", "::")
    run("mdel", "-i", path, "::DCIM/gone.jpg")
    return path


def ext4(path: Path, files: Path) -> Path:
    # Without a journal: it would be most of so small an image.
    run("mkfs.ext4", "-q", "-O", "^has_journal", "-d", files, blank(path, 1 << 20))
    run("debugfs", "-w", "-R", "rm DCIM/gone.jpg", path)
    return path


def ntfs(path: Path, files: Path, mount: Path) -> Path:
    run("mkntfs", "-F", "-q", "-p", "0", "-H", "0", "-S", "0", blank(path, 2 << 20))
    mount.mkdir()
    run("ntfs-3g", "-o", "streams_interface=windows", path, mount)
    try:
        for item in files.iterdir():
            if item.is_dir():
                shutil.copytree(item, mount / item.name)
            else:
                shutil.copy(item, mount)
        (mount / "DCIM" / "100.jpg:hidden.jpg").write_bytes(CONTENT["inner.jpg"])
        # A deleted folder, then a new one that takes over its record: lost.jpg lies in neither.
        (mount / "old").mkdir()
        (mount / "old" / "lost.jpg").write_bytes(CONTENT["gone.jpg"])
        run("umount", mount)
        run("ntfs-3g", path, mount)
        shutil.rmtree(mount / "old")
        (mount / "new").mkdir()
        (mount / "DCIM" / "gone.jpg").unlink()
    finally:
        run("umount", mount)
    return path


def exfat(path: Path) -> Path:
    files = {f"DCIM/{name}": CONTENT[name] for name in ("사진.jpg", "100.jpg", "gone.jpg")}
    files["archive.zip"] = CONTENT["archive.zip"]
    path.write_bytes(exfat_volume(files, {"DCIM/gone.jpg"}))
    return path


def hfsplus(path: Path) -> Path:
    files = {f"DCIM/{name}": CONTENT[name] for name in ("사진.jpg", "100.jpg")}
    path.write_bytes(hfsplus_volume(files | {"archive.zip": CONTENT["archive.zip"]}))
    return path


def iso9660(path: Path) -> Path:
    """A disc with Joliet names, the short ones in ASCII."""
    # Tests import this module for ``CONTENT``, and do without pycdlib.
    import pycdlib

    disc = pycdlib.PyCdlib()
    disc.new(vol_ident="PHONE", joliet=3)
    disc.add_directory("/DCIM", joliet_path="/DCIM")
    for short, name in (
        ("/DCIM/PHOTO.JPG;1", "/DCIM/사진.jpg"),
        ("/DCIM/100.JPG;1", "/DCIM/100.jpg"),
        ("/ARCHIVE.ZIP;1", "/archive.zip"),
    ):
        data = CONTENT[name.rpartition("/")[2]]
        disc.add_fp(io.BytesIO(data), len(data), short, joliet_path=name)
    disc.write(str(path))
    disc.close()
    return path


def backup(folder: Path) -> Path:
    """An exFAT volume with an encrypted iPhone backup in a folder."""
    files = ios_backup(BACKED_UP, Keybag())
    path = folder / "backup.dd"
    path.write_bytes(exfat_volume({f"phone/{name}": data for name, data in files.items()}, set()))
    return path


def ufdr(path: Path) -> None:
    """A report laid out as Cellebrite's are: a ZIP, with files in folders by their kind."""
    places = {"사진.jpg": "Image", "100.jpg": "Image", "archive.zip": "Archives"}
    files = "".join(
        f'<file fs="Userdata" path="/media/0/DCIM/{name}" size="{len(CONTENT[name])}">'
        f'<metadata section="File"><item name="Local Path">files\\{place}\\{name}</item></metadata>'
        f'<metadata section="MetaData"><item name="SHA256">'
        f"{hashlib.sha256(CONTENT[name]).hexdigest()}</item></metadata></file>"
        for name, place in places.items()
    )
    report = (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<project name="갤럭시" xmlns="http://pa.cellebrite.com/report/2.0">'
        f"<taggedFiles>{files}</taggedFiles></project>"
    )
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(zipfile.ZipInfo("report.xml"), report, zipfile.ZIP_DEFLATED)
        for name, place in places.items():
            file.writestr(zipfile.ZipInfo(f"files/{place}/{name}"), CONTENT[name])


def rock_ridge(path: Path, folder: Path) -> Path:
    """A disc with Rock Ridge, made in Korea; a name is so long that its record is continued."""
    (folder / "DCIM").mkdir(parents=True)
    for name in ("사진.jpg", "100.jpg"):
        (folder / "DCIM" / name).write_bytes(CONTENT[name])
    (folder / ("긴 이름 " * 12 + ".jpg")).write_bytes(CONTENT["inner.jpg"])
    for file in folder.rglob("*"):
        os.utime(file, (ACCESSED, MODIFIED))
    zone = {"TZ": "Asia/Seoul"}
    run("genisoimage", "-quiet", "-R", "-o", path, folder, env=zone)
    return path


def partitioned(path: Path, label: str, kind: str, volume: Path) -> Path:
    """A disk of one partition that starts at 64 KiB and holds ``volume``."""
    data = volume.read_bytes()
    blank(path, len(data) + (1 << 17))
    sectors = len(data) // 512
    run("sfdisk", "-q", path, text=f"label: {label}\nstart=128, size={sectors}, type={kind}\n")
    with path.open("r+b") as file:
        file.seek(1 << 16)
        file.write(data)
    return path


def ewf(stem: Path, raw: Path, *options: str) -> None:
    run("ewfacquire", "-u", "-q", "-c", "deflate:best", "-t", stem, *options, raw)


def split_ewf(path: Path, raw: Path, work: Path) -> None:
    """A ZIP with an E01 in pieces of 1 MiB, the least that ewfacquire makes."""
    longer = work / "longer.dd"
    longer.write_bytes(raw.read_bytes() + bytes(1 << 20))
    run("ewfacquire", "-u", "-q", "-c", "none", "-S", "1MiB", "-t", work / "split", longer)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for piece in sorted(work.glob("split.E*")):
            archive.write(piece, f"phone{piece.suffix}")


def worn(path: Path, raw: Path) -> None:
    """An E01 with one bit changed in the chunk where 100.jpg lies; the file system is whole."""
    chunk = 16 * 512
    ewf(path.with_suffix(""), raw, "-b", "16")
    data = raw.read_bytes()
    start = data.index(CONTENT["100.jpg"]) // chunk * chunk
    image = bytearray(path.read_bytes())
    image[image.index(zlib.compress(data[start : start + chunk], 9)) + chunk // 4] ^= 1
    path.write_bytes(image)


def main() -> None:
    HERE.mkdir(exist_ok=True)
    for old in HERE.iterdir():
        old.unlink()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        files = tree(work / "files")
        raws = [
            fat(work / "fat.dd", files),
            ext4(work / "ext4.dd", files),
            ntfs(work / "ntfs.dd", files, work / "mount"),
            exfat(work / "exfat.dd"),
            hfsplus(work / "hfsplus.dd"),
            iso9660(work / "disc.iso"),
            rock_ridge(work / "rockridge.iso", work / "disc"),
        ]
        mbr = partitioned(work / "mbr.dd", "dos", "6", work / "fat.dd")
        linux = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
        gpt = partitioned(work / "gpt.dd", "gpt", linux, work / "ext4.dd")
        for raw in (*raws, mbr, gpt):
            filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
            packed = lzma.compress(raw.read_bytes(), filters=filters)
            (HERE / f"{raw.name}.xz").write_bytes(packed)
        ewf(HERE / "phone", mbr)
        # One bit in the compressed data, a third of the way in.
        damaged = bytearray((HERE / "phone.E01").read_bytes())
        damaged[len(damaged) // 3] ^= 1
        (HERE / "damaged.E01").write_bytes(damaged)
        worn(HERE / "worn.E01", mbr)
        split_ewf(HERE / "split_e01.zip", work / "fat.dd", work)
        ufdr(HERE / "phone.ufdr")
        ewf(HERE / "backup", backup(work))
    total = sum(path.stat().st_size for path in HERE.iterdir())
    for path in sorted(HERE.iterdir()):
        sys.stdout.write(f"{path.stat().st_size:8} {path.name}\n")
    sys.stdout.write(f"{total:8} in all\n")


if __name__ == "__main__":
    main()
