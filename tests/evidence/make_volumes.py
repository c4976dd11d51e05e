"""Makes images/volumes.tar.xz: volumes that the Sleuth Kit does not read, from Debian's tools.

    apt-get install xfsprogs cryptsetup-bin qemu-utils dosfstools mtools apfsprogs 7zip
    .venv/bin/python tests/evidence/make_volumes.py    (as root: XFS is filled through the kernel)

``expected.json`` has what an independent program reads: of an XFS by the kernel, or of version 4,
which newer kernels do not mount, by the files that mkfs.xfs was given {path: [bytes, SHA-256, time
of change in ns]}; of a LUKS volume by QEMU [bytes, SHA-256]. LUKS volumes of every cipher and hash
that the reader accepts are compared here, and one is kept: their random bytes would be megabytes.
``apfs.blocks`` is written by apfs.py.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import os
import struct
import subprocess
import sys
import tarfile
import tempfile
import unicodedata
from pathlib import Path

import apfs
from make_fixtures import CONTENT, run
from make_virtual_disks import tiny

from mayak.evidence import open_source
from mayak.evidence.base import Choices

IMAGES = Path(__file__).parent / "images"
MIB = 1 << 20
PASSWORD = "secret passphrase"  # noqa: S105
XFS = {
    "v5": ["-m", "crc=1"],
    "v5-1k": ["-b", "size=1024", "-m", "rmapbt=1"],
    "v5-big": ["-m", "bigtime=1", "-i", "nrext64=1", "-n", "size=16384"],
    "v5-plain": ["-m", "bigtime=0,inobtcount=0,reflink=0", "-i", "sparse=0", "-s", "size=4096"],
}
XFS_OLD = {
    "v4": ["-m", "crc=0"],
    "v4-512": ["-m", "crc=0", "-n", "ftype=0", "-b", "size=512"],
}
APFS = [
    apfs.File("DCIM/사진.jpg", CONTENT["사진.jpg"]),
    apfs.File("100.jpg", CONTENT["100.jpg"] * 10, (3, 2, 3)),
    apfs.File("sparse", b"start" * 1600 + bytes(4 * 4096) + b"end", (2, -3, 1)),
    apfs.File("packed", CONTENT["gone.jpg"][:99] * 10, is_packed=True),
    apfs.File("empty", b""),
]
LUKS = [
    ("aes-xts-plain64", 256, "sha256"),
    ("aes-xts-plain64", 512, "sha1"),
    ("aes-xts-plain64", 512, "sha512"),
    ("aes-cbc-essiv:sha256", 256, "sha256"),
    ("aes-cbc-plain64", 256, "sha1"),
    ("aes-cbc-plain", 256, "sha1"),
    ("aes-cbc-plain64", 128, "sha256"),
]
"""Cipher, bits of the key, hash; the last one is kept."""


def blocks(first: int, count: int, size: int = 4096) -> bytes:
    """Blocks that differ from one another and compress well."""
    return b"".join(number.to_bytes(4) * (size // 4) for number in range(first, first + count))


def fill(root: Path, turns: int) -> None:
    """Files of every kind of extent and folder."""
    (root / "DCIM").mkdir()
    for name in ("사진.jpg", "100.jpg"):
        (root / "DCIM" / name).write_bytes(CONTENT[name])
    (root / "archive.zip").write_bytes(CONTENT["archive.zip"])
    (root / "empty").touch()
    with (root / "sparse").open("wb") as file:
        file.write(blocks(1, 2))
        file.seek(300_000)
        file.write(b"middle")
        file.truncate(700_001)
    with (root / "unwritten").open("wb") as file:
        file.write(b"start")
        os.posix_fallocate(file.fileno(), 0, 200_000)
    # Two files in turn, so that each has so many extents that they need a tree.
    with (root / "scattered").open("wb", 0) as one, (root / "other").open("wb", 0) as two:
        for number in range(turns):
            for file, first in ((one, 1000), (two, 5000)):
                file.seek(number * 8192)
                file.write(blocks(first + number, 1))
                os.fsync(file.fileno())
    subprocess.run(["cp", "--reflink=auto", root / "scattered", root / "clone"], check=True)
    with (root / "clone").open("r+b") as file:
        file.seek(50_000)
        file.write(b"changed in the clone")
    # A folder of several blocks; links, because their records would not compress.
    (root / "many").mkdir()
    for number in range(700):
        (root / "many" / f"a-name-that-is-rather-long-{number}").hardlink_to(root / "empty")
    for number in range(0, 700, 3):
        (root / "many" / f"a-name-that-is-rather-long-{number}").unlink()
    (root / "link").symlink_to("archive.zip")
    os.mkfifo(root / "pipe")
    os.setxattr(root / "archive.zip", "user.large", bytes(5000))
    for name, seconds in (("old", -1_000_000_000), ("late", 5_000_000_000)):
        (root / name).write_text(name)
        os.utime(root / name, (seconds, seconds))
    (Path(os.fsencode(root).decode()) / os.fsdecode(b"\xbb\xe7\xc1\xf8.jpg")).write_bytes(b"CP949")
    (root / "gone.jpg").write_bytes(CONTENT["gone.jpg"])
    os.sync()
    (root / "gone.jpg").unlink()


def described(root: Path) -> dict[str, list[int | str]]:
    found: dict[str, list[int | str]] = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            name = str(path.relative_to(root))
            if not name.isprintable() or "\udcbb" in name:
                # The library has no name for it.
                name = f"[record {path.stat().st_ino}]"
            data = path.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            found[name] = [len(data), digest, path.stat().st_mtime_ns]
    return found


def prototype(folder: Path, indent: str = " ") -> str:
    """The text for mkfs.xfs -p that names the files below a folder."""
    lines = []
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            lines += [f"{indent}{path.name} d--755 0 0\n", prototype(path, f"{indent} ")]
            lines.append(f"{indent}$\n")
        else:
            lines.append(f"{indent}{path.name} ---644 0 0 {path}\n")
    return "".join(lines)


def xfs() -> dict[str, dict[str, list[int | str]]]:
    expected = {}
    mount, files = Path("mount"), Path("files").absolute()
    mount.mkdir()
    for name, options in XFS.items():
        image = Path(f"{name}.xfs")
        image.write_bytes(bytes(24 * MIB))
        run("mkfs.xfs", "-q", "--unsupported", *options, image)
        run("mount", "-o", "loop", image, mount)
        try:
            # Of small blocks so many extents that the tree has more than two levels.
            fill(mount, 650 if name == "v5-1k" else 150)
            expected[image.name] = described(mount)
        finally:
            run("umount", mount)
        without_log(image)
    # Copied while it is in use, and again when it is not.
    image = Path("unmounted.xfs")
    image.write_bytes(bytes(16 * MIB))
    run("mkfs.xfs", "-q", "--unsupported", image)
    run("mount", "-o", "loop", image, mount)
    try:
        (mount / "new.jpg").write_bytes(CONTENT["100.jpg"])
        os.sync()
        Path("in-use.xfs").write_bytes(image.read_bytes())
        expected[image.name] = described(mount)
    finally:
        run("umount", mount)
    for name in ("in-use.xfs", image):
        state = subprocess.run(["xfs_logprint", "-t", name], capture_output=True, check=True).stdout
        if (b"<CLEAN>" in state) != (name == image):
            raise ValueError(f"{name}: {state.decode()}")
    (files / "DCIM").mkdir(parents=True)
    for name in ("사진.jpg", "100.jpg"):
        (files / "DCIM" / name).write_bytes(CONTENT[name])
    (files / "many").mkdir()
    for number in range(100):
        (files / "many" / f"a-name-that-is-rather-long-{number}").write_bytes(b"")
    (files / "scattered").write_bytes(blocks(1, 100))
    Path("prototype").write_text(f"/\n0 0\nd--755 0 0\n{prototype(files)}$\n", encoding="utf-8")
    for name, options in XFS_OLD.items():
        image = Path(f"{name}.xfs")
        image.write_bytes(bytes(16 * MIB))
        run("mkfs.xfs", "-q", "--unsupported", *options, "-p", "prototype", image)
        # mkfs.xfs gives files a time of its own.
        expected[image.name] = {at: [*row[:2], 0] for at, row in described(files).items()}
    return expected


def without_log(image: Path) -> None:
    """Zero the log, as mkfs.xfs leaves it: after a clean unmount nothing in it is needed, and its
    copies of records do not compress."""
    data = bytearray(image.read_bytes())
    (block,), (start,), (per_group,), (length,) = (
        struct.unpack_from(form, data, at)
        for form, at in ((">I", 4), (">Q", 48), (">I", 84), (">I", 96))
    )
    group, within = start >> data[124], start & ((1 << data[124]) - 1)
    at = (group * per_group + within) * block
    data[at : at + length * block] = bytes(length * block)
    image.write_bytes(data)


def luks() -> dict[str, list[int | str]]:
    Path("key").write_text(PASSWORD, encoding="utf-8")
    secret = ("--object", "secret,id=k,file=key")
    for cipher, bits, digest in LUKS:
        image = Path("kept.luks")
        image.write_bytes(bytes(3 * MIB))
        rounds = ("--pbkdf-force-iterations", "1000")
        form = ("-q", "--type", "luks1", "-c", cipher, "-s", str(bits), "-h", digest)
        run("cryptsetup", "luksFormat", *form, *rounds, "--key-file", "key", image)
        opened = f"driver=luks,key-secret=k,file.filename={image}"
        zeros = ("-n", "--target-is-zero", "-f", "raw")
        run("qemu-img", "convert", *secret, *zeros, "--target-image-opts", "tiny.raw", opened)
        run("qemu-img", "convert", *secret, "--image-opts", "-O", "raw", opened, "out.raw")
        disk = Path("out.raw").read_bytes()
        with open_source(image, choices=Choices(passwords=("wrong", PASSWORD))) as source:
            found = list(source.items())
            if not source._container._opened:
                raise ValueError(f"LUKS with {cipher}, {bits} and {digest}: {found}")
            (inside,) = source._container._opened[0]
            if inside._data.read_at(0, len(disk)) != disk:
                raise ValueError(f"LUKS with {cipher}, {bits} and {digest} reads differently")
    # cryptsetup fills the key slots that are not in use with random bytes.
    data = bytearray(image.read_bytes())
    first, payload = (struct.unpack_from(">I", data, at)[0] * 512 for at in (208 + 48 + 40, 104))
    data[first:payload] = bytes(payload - first)
    image.write_bytes(data)
    return {image.name: [len(disk), hashlib.sha256(disk).hexdigest()]}


def with_apfs() -> None:
    """Make apfs.blocks, and compare with 7-Zip what that reads: no holes, nothing compressed."""
    image, out = Path("apfs"), Path("extracted")
    image.write_bytes(bytes(128 * MIB))
    run("mkapfs", "-L", "Macintosh HD", image)
    image.write_bytes(apfs.fill(image.read_bytes(), APFS))
    run("7zz", "x", f"-o{out}", image)
    for file in APFS:
        (path,) = (
            path
            for path in out.rglob("*")
            if unicodedata.normalize("NFC", path.name) == file.path.rpartition("/")[2]
        )
        is_plain = not file.is_packed and min(file.pieces, default=0) >= 0
        if is_plain and path.read_bytes() != file.content:
            raise ValueError(f"7-Zip reads {file.path} differently")
    Path("apfs.blocks").write_bytes(apfs.packed(image.read_bytes()))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        tiny()
        expected = {**xfs(), **luks()}
        with_apfs()
        Path("two.luks").write_bytes(bytes(16 * MIB))
        form = ("-q", "--type", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
        run("cryptsetup", "luksFormat", *form, "--key-file", "key", "two.luks")
        # Its keys would be half a megabyte of random bytes; it is known by its header.
        Path("two.luks").write_bytes(Path("two.luks").read_bytes()[:32768].ljust(MIB, b"\0"))
        Path("expected.json").write_text(json.dumps(expected, ensure_ascii=False))
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name in ["expected.json", "two.luks", "apfs.blocks", "in-use.xfs", *expected]:
                info = archive.gettarinfo(name)
                info.mtime, info.uid, info.gid, info.uname, info.gname = 0, 0, 0, "", ""
                with Path(name).open("rb") as file:
                    archive.addfile(info, file)
        lzma2 = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}
        packed = lzma.compress(buffer.getvalue(), filters=[lzma2 | {"dict_size": 64 * MIB}])
        (IMAGES / "volumes.tar.xz").write_bytes(packed)
        sys.stdout.write(f"{buffer.tell()} bytes, {len(packed)} packed\n")


if __name__ == "__main__":
    main()
