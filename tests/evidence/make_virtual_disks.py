"""Makes images/virtual.tar.xz: one disk in each format of virtual disks, from Debian's tools.

    apt-get install qemu-utils dosfstools mtools fdisk 7zip ewf-tools sleuthkit
    apt-get install android-sdk-libsparse-utils
    .venv/bin/pip install pyliblzfse
    .venv/bin/python tests/evidence/make_virtual_disks.py    (after make_fixtures.py)

``small.raw`` is mbr.dd; ``large.raw`` has fat.dd and, 33 MiB further on, ext4.dd as partitions;
``tiny.raw`` is a FAT volume. An image's content as an independent program reads it (qemu-img,
7-Zip, simg2img) is in ``expected.json``: {name: [bytes, SHA-256]}. They are in one archive because
they share most bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from make_fixtures import CONTENT
from udif import PACKERS, udif

IMAGES = Path(__file__).parent / "images"
MIB = 1 << 20
SECOND = 33 * MIB


def run(*command: str | Path, text: str | None = None) -> None:
    subprocess.run(
        [str(part) for part in command],
        check=True,
        input=text,
        encoding="utf-8",
        stdout=subprocess.DEVNULL,
    )


def fixture(name: str) -> bytes:
    return lzma.decompress((IMAGES / f"{name}.xz").read_bytes())


def large() -> None:
    """A disk of 34 MiB: tables of more than one level are needed for it."""
    fat, ext4 = fixture("fat.dd"), fixture("ext4.dd")
    disk = Path("large.raw")
    disk.write_bytes(bytes(34 * MIB))
    table = f"label: dos\nstart=128, size={len(fat) // 512}, type=6\n"
    table += f"start={SECOND // 512}, size={len(ext4) // 512}, type=83\n"
    run("sfdisk", "-q", disk, text=table)
    with disk.open("r+b") as file:
        for start, volume in ((1 << 16, fat), (SECOND, ext4)):
            file.seek(start)
            file.write(volume)


def tiny() -> None:
    """A FAT volume with one picture."""
    Path("tiny.raw").write_bytes(bytes(40 << 10))
    run("mkfs.vfat", "-n", "PHONE", "-i", "12345678", "-r", "16", "-s", "1", "tiny.raw")
    name = "사진.jpg"
    Path(name).write_bytes(CONTENT[name])
    run("mcopy", "-i", "tiny.raw", name, f"::{name}")
    Path(name).unlink()


def convert(name: str, kind: str, raw: str, *options: str) -> None:
    run("qemu-img", "convert", "-f", "raw", "-O", kind, *options, raw, name)


def qcow2() -> None:
    for compat, version in (("0.10", 2), ("1.1", 3)):
        for cluster in (512, 4096, 65536, 2 * MIB):
            # Of large clusters a disk of few keeps the archive small.
            raw = "small.raw" if cluster > 65536 else "large.raw"
            options = f"compat={compat},cluster_size={cluster}"
            name = f"v{version}-{cluster}"
            convert(f"{name}.qcow2", "qcow2", raw, "-o", options)
            convert(f"{name}-compressed.qcow2", "qcow2", "small.raw", "-c", "-o", options)
        for kept in ("metadata", "full"):
            options = f"compat={compat},preallocation={kept}"
            convert(f"v{version}-{kept}.qcow2", "qcow2", "small.raw", "-o", options)
    convert("v3-lazy.qcow2", "qcow2", "small.raw", "-o", "lazy_refcounts=on,refcount_bits=1")
    # A cluster of zeros over stored ones, a compressed cluster that was written again, and a
    # state from before all that.
    for name, base in (("v3-changed.qcow2", ()), ("v3-changed-compressed.qcow2", ("-c",))):
        convert(name, "qcow2", "small.raw", *base, "-o", "cluster_size=4096")
        run("qemu-img", "snapshot", "-c", "before", name)
        run("qemu-io", "-c", "write -z 300k 64k", "-c", "write -P 77 1000000 5000", name)
        run("qemu-io", "-c", "discard 200k 8k", name)
    # What is not read.
    convert("base.qcow2", "qcow2", "small.raw")
    run("qemu-img", "create", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", "backing.qcow2")
    run("qemu-img", "create", "-f", "qcow2", "-o", "data_file=d.raw", "external.qcow2", "1M")
    convert("zstd.qcow2", "qcow2", "small.raw", "-c", "-o", "compression_type=zstd")
    convert("extended.qcow2", "qcow2", "small.raw", "-o", "extended_l2=on,cluster_size=128k")
    secret = ("--object", "secret,id=k,data=secret")
    options = "encrypt.format=aes,encrypt.key-secret=k"
    run("qemu-img", "create", "-f", "qcow2", *secret, "-o", options, "aes.qcow2", "1M")


def vmdk() -> None:
    for form in ("monolithicSparse", "streamOptimized", "twoGbMaxExtentSparse"):
        convert(f"{form}.vmdk", "vmdk", "large.raw", "-o", f"subformat={form}")
    for form in ("monolithicFlat", "twoGbMaxExtentFlat"):
        convert(f"{form}.vmdk", "vmdk", "small.raw", "-o", f"subformat={form}")
    convert("compat6.vmdk", "vmdk", "large.raw", "-o", "compat6=on")
    run("qemu-img", "create", "-f", "vmdk", "-o", "zeroed_grain=on", "zeroed.vmdk", "2M")
    run("qemu-io", "-c", "write -P 7 0 1M", "-c", "write -z 128k 128k", "zeroed.vmdk")
    run("qemu-io", "-c", "write -P 8 8M 10k", "monolithicSparse.vmdk")
    # Extents as VMware splits a disk, and as it places several in one file.
    data = Path("large.raw").read_bytes()
    lines = {"sparse": "", "flat": ""}
    for number, (start, end) in enumerate([(0, 2 * MIB), (2 * MIB, SECOND), (SECOND, 34 * MIB)], 1):
        Path("part.raw").write_bytes(data[start:end])
        options = "subformat=twoGbMaxExtentSparse"
        convert("part.vmdk", "vmdk", "part.raw", "-o", options)
        Path("part-s001.vmdk").rename(f"sparse-s00{number}.vmdk")
        lines["sparse"] += f'RW {(end - start) // 512} SPARSE "sparse-s00{number}.vmdk"\n'
    Path("flat-f001.vmdk").write_bytes(data[SECOND:] + data[: 2 * MIB])
    for start, size in ((MIB, 2 * MIB), (0, MIB)):
        lines["flat"] += f'RW {size // 512} FLAT "flat-f001.vmdk" {start // 512}\n'
    lines["vmfs"] = f'RW {3 * MIB // 512} VMFS "flat-f001.vmdk"\n'
    text = Path("part.vmdk").read_text(encoding="ascii")
    for name, extents in lines.items():
        form = {"sparse": "twoGbMaxExtentSparse", "flat": "twoGbMaxExtentFlat", "vmfs": "vmfs"}[
            name
        ]
        new = text.replace("twoGbMaxExtentSparse", form)
        Path(f"{name}.vmdk").write_text(re.sub(r"RW .*\n", extents, new), encoding="ascii")
    convert("delta-base.vmdk", "vmdk", "small.raw")
    run("qemu-img", "create", "-f", "vmdk", "-b", "delta-base.vmdk", "-F", "vmdk", "delta.vmdk")
    for name in ("part.raw", "part.vmdk", "delta-base.vmdk"):
        Path(name).unlink()


def others() -> None:
    convert("dynamic.vhd", "vpc", "large.raw", "-o", "force_size=on")
    convert("rounded.vhd", "vpc", "small.raw")
    convert("fixed.vhd", "vpc", "small.raw", "-o", "subformat=fixed,force_size=on")
    convert("dynamic-1.vhdx", "vhdx", "large.raw", "-o", "block_size=1M")
    convert("dynamic-8.vhdx", "vhdx", "small.raw", "-o", "block_size=8M")
    convert("fixed.vhdx", "vhdx", "small.raw", "-o", "subformat=fixed,block_size=1M")
    convert("dynamic.vdi", "vdi", "large.raw")
    convert("fixed.vdi", "vdi", "small.raw", "-o", "static=on")
    run("img2simg", "large.raw", "android.simg")
    data = Path("tiny.raw").read_bytes()
    for packer in PACKERS:
        Path(f"{packer}.dmg").write_bytes(udif(data, packer, chunk=1 << 13))


def tables() -> None:
    """Disks with nothing but a partition table, of sectors of 512 and of 4096 bytes: a primary
    partition at 1 MiB and logical ones at 3 MiB and at 6 MiB, or in a GPT three of its own."""
    for label, start in (("dos", "o"), ("gpt", "g")):
        for sector in (512, 4096):
            name = f"{label}-{sector}.disk"
            Path(name).write_bytes(bytes(12 * MIB))
            kinds = ["p\n1", "l", "l"] if label == "dos" else ["1", "2", "3"]
            lines = [start]
            for kind, at, end in zip(kinds, (1, 3, 6), (2, 5, 7), strict=True):
                lines += ["n", kind, f"{at * MIB // sector}", f"{end * MIB // sector - 1}"]
                if kind == "p\n1":
                    lines += ["n", "e", "4", f"{2 * MIB // sector}", f"{11 * MIB // sector - 1}"]
            run("fdisk", "-b", str(sector), name, text="\n".join([*lines, "w", ""]))
            listed = subprocess.run(
                ["mmls", "-a", "-b", str(sector), name], check=True, capture_output=True, text=True
            ).stdout
            starts = [int(row[2]) for row in map(str.split, listed.splitlines()[5:]) if row]
            if [at * sector // MIB for at in starts] != [1, 3, 6]:
                raise ValueError(f"{name}: {listed}")
    options = ("-u", "-q", "-c", "deflate:best")
    run("ewfacquire", *options, "-P", "4096", "-t", "dos-4096", "dos-4096.disk")


def read_independently(name: str) -> bytes | None:
    """Return the disk as another program reads it; None for an image that is not to be read."""
    out = Path("out.raw")
    if name.endswith(".simg"):
        run("simg2img", name, out)
    elif name.endswith(".dmg"):
        # It writes the parts, and states that their checksums, which are not there, differ.
        subprocess.run(
            ["7zz", "x", "-tdmg", "-oparts", name], stdout=subprocess.DEVNULL, check=False
        )
        parts = sorted(Path("parts").iterdir())
        out.write_bytes(b"".join(part.read_bytes() for part in parts))
        for part in parts:
            part.unlink()
    else:
        run(
            "qemu-img",
            "convert",
            *(["-f", "vpc"] if name == "fixed.vhd" else []),
            "-O",
            "raw",
            name,
            out,
        )
    return out.read_bytes()


UNREAD = re.compile(
    r"(backing|external|zstd|extended|aes|delta)\..*|.*-[fs]\d+.vmdk|.*-flat.vmdk|.*\.disk|.*\.E01"
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("small.raw").write_bytes(fixture("mbr.dd"))
        large()
        tiny()
        qcow2()
        vmdk()
        others()
        tables()
        kept = sorted(path.name for path in Path().iterdir() if path.suffix not in (".raw", ".img"))
        expected = {}
        for name in kept:
            if not UNREAD.fullmatch(name):
                disk = read_independently(name)
                expected[name] = [len(disk), hashlib.sha256(disk).hexdigest()]
        for name, (size, digest) in expected.items():
            sys.stdout.write(f"{name:32} {Path(name).stat().st_size:10} {size:10} {digest[:8]}\n")
        Path("expected.json").write_text(json.dumps(expected, indent=0))
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name in ["expected.json", *kept]:
                info = archive.gettarinfo(name)
                info.mtime, info.uid, info.gid, info.uname, info.gname = 0, 0, 0, "", ""
                with Path(name).open("rb") as file:
                    archive.addfile(info, file)
        filters = [
            {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 64 * MIB}
        ]
        packed = lzma.compress(buffer.getvalue(), filters=filters)
        (IMAGES / "virtual.tar.xz").write_bytes(packed)
        sys.stdout.write(f"{buffer.tell()} bytes, {len(packed)} packed\n")


if __name__ == "__main__":
    main()
