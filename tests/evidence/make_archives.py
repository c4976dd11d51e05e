"""Makes the archives in ``archives`` beside this script, and compares what mayak reads with 7-Zip.

    apt-get install 7zip cpio libarchive-tools lz4 zip zstd
    .venv/bin/pip install -e '.[containers]'
    .venv/bin/python tests/evidence/make_archives.py

What is in them is in ``CONTENT``; tests compare with it and need none of the tools.
"""

from __future__ import annotations

import lzma
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent / "archives"
PASSWORD = "susa 2026"  # noqa: S105
ZIP_METHODS = ("Copy", "Deflate", "Deflate64", "BZip2", "LZMA")
KOREAN_PASSWORD = "수사 2026"  # noqa: S105
SEVEN_ZIP_METHODS = ("Copy", "LZMA", "LZMA2", "BZip2", "PPMd", "Deflate", "Deflate64")
SEVEN_ZIP_FILTERS = ("BCJ", "ARM", "ARMT", "PPC", "SPARC", "IA64", "Delta:4")
SEVEN_ZIP_UNREAD = ("BCJ2", "ARM64", "RISCV")
CPIO_FORMS = ("newc", "crc", "odc", "bin", "hpbin")
ZIP_CIPHERS = ("ZipCrypto", "AES128", "AES192", "AES256")


def compressible(seed: int, size: int) -> bytes:
    """Bytes that every method packs to less, with matches near and far."""
    rng = random.Random(seed)
    words = [rng.randbytes(rng.randint(2, 9)) for _ in range(60)]
    return b"\xff\xd8\xff\xe0" + b"".join(rng.choices(words, k=size))[: size - 4]


def machine_code() -> bytes:
    """Bytes that the filters for each processor change, of an odd length."""
    rng = random.Random(9)
    calls = (b"\xe8", b"\x48\x00\x00", b"\xeb", b"\x40\x00", b"\x00\xf0\x00\xf8")
    words = [rng.choice(calls) + rng.randbytes(rng.randint(1, 4)) for _ in range(40)]
    return b"".join(rng.choices(words, k=900))[:1001]


CONTENT = {
    "DCIM/사진.jpg": compressible(1, 2000),
    "DCIM/100.jpg": b"\xff\xd8\xff\xe0" + random.Random(2).randbytes(700),
    "메모.txt": b"A list of things to buy.\n" * 40,
    "empty.txt": b"",
}

SPLIT = {f"{n}.jpg": compressible(n, 900) * 60 for n in range(3)}


def run(*command: str | Path, folder: Path, text: str = "") -> bytes:
    return subprocess.run(
        [str(part) for part in command],
        check=True,
        cwd=folder,
        input=text.encode(),
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
        stdout=subprocess.PIPE,
    ).stdout


def tree(folder: Path) -> Path:
    """The files of ``CONTENT``, each with one time."""
    for name, data in CONTENT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        run("touch", "-d", "2025-03-02 01:02:03", name, folder=folder)
    run("touch", "-d", "2025-03-02 01:02:03", "DCIM", folder=folder)
    return folder


def zips(files: Path, work: Path) -> None:
    """One ZIP with each method under each cipher, and one that is split."""
    picture = CONTENT["DCIM/사진.jpg"]
    for cipher in ("", *ZIP_CIPHERS):
        for method in (*ZIP_METHODS, *([] if cipher else ["PPMd"])):
            name = f"{cipher or 'plain'} {method}.jpg"
            (work / name).write_bytes(picture)
            options = [f"-p{PASSWORD}", f"-mem={cipher}"] if cipher else []
            kind = "aes" if cipher.startswith("AES") else cipher.lower() or "methods"
            target = HERE / f"{kind}.zip"
            run("7z", "a", "-tzip", f"-mm={method}", "-mtm-", *options, target, name, folder=work)
    # Stored, and the pieces packed with xz afterwards: a piece has 64 KiB at least.
    for name, data in SPLIT.items():
        (work / name).write_bytes(data)
    run("zip", "-q", "-0", "-X", "-s", "64k", work / "split.zip", *SPLIT, folder=work)
    for piece in sorted(work.glob("split.z*")):
        (HERE / f"{piece.name}.xz").write_bytes(lzma.compress(piece.read_bytes(), preset=9))


def cpios(files: Path, work: Path) -> None:
    """An archive of each form, with a hard link and a symbolic link."""
    tree(work)
    (work / "link.jpg").symlink_to("DCIM/100.jpg")
    (work / "hard.jpg").hardlink_to(work / "DCIM/100.jpg")
    names = "\n".join(["DCIM", *CONTENT, "hard.jpg", "link.jpg"])
    for form in CPIO_FORMS:
        target = work / f"{form}.cpio"
        run("sh", "-c", f"cpio --quiet -o -H {form} > {target}", folder=work, text=names)
        (HERE / f"{target.name}.xz").write_bytes(lzma.compress(target.read_bytes()))


def compressed(files: Path, work: Path) -> None:
    """A TAR in each compression that the standard library of Python lacks."""
    tar = work / "phone.tar"
    run("bsdtar", "--format", "ustar", "-cf", tar, *CONTENT, folder=files)
    run("zstd", "-q", "-19", tar, "-o", HERE / "phone.tar.zst", folder=work)
    run("lz4", "-q", "-9", tar, HERE / "phone.tar.lz4", folder=work)
    run("lz4", "-q", "-l", "-9", tar, HERE / "legacy.tar.lz4", folder=work)


def seven_zips(files: Path, work: Path) -> None:
    """One archive with a block for each filter before each method, and a phone's, plain and
    encrypted in three ways."""
    code = machine_code()
    for filter_ in ("", *SEVEN_ZIP_FILTERS, *SEVEN_ZIP_UNREAD):
        for method in SEVEN_ZIP_METHODS if filter_ not in SEVEN_ZIP_UNREAD else ("LZMA2",):
            name = f"{filter_ or 'plain'} {method}.bin"
            (work / name).write_bytes(code)
            coders = [f"-m{n}={coder}" for n, coder in enumerate(filter(None, (filter_, method)))]
            run("7z", "a", "-mtm-", *coders, HERE / "methods.7z", name, folder=work)
    tree(work / "phone")
    (work / "phone" / "link.jpg").symlink_to("DCIM/100.jpg")
    options = {
        "phone": ["-ms=on"],
        "hidden": ["-mhe=on", f"-p{KOREAN_PASSWORD}"],
        "blocks": ["-ms=off", "-m0=BCJ", "-m1=LZMA", f"-p{KOREAN_PASSWORD}"],
        "stored": ["-ms=on", "-m0=Copy", f"-p{KOREAN_PASSWORD}"],
    }
    for name, each in options.items():
        run("7z", "a", "-snl", *each, HERE / f"{name}.7z", ".", folder=work / "phone")


def compare() -> None:
    """Compare what mayak reads of each archive with what an independent program unpacks."""
    from mayak.evidence import Choices, open_source
    from mayak.types import EvidenceEntry

    choices = Choices(passwords=(PASSWORD, KOREAN_PASSWORD))
    for archive in sorted(HERE.iterdir()):
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            copy = work / archive.name.removesuffix(".xz")
            data = archive.read_bytes()
            copy.write_bytes(lzma.decompress(data) if archive.suffix == ".xz" else data)
            if archive.name.startswith("split.z"):
                for piece in HERE.glob("split.z*.xz"):
                    (work / piece.stem).write_bytes(lzma.decompress(piece.read_bytes()))
            (work / "out").mkdir()
            run(*unpacking(copy), folder=work / "out")
            files = (path for path in (work / "out").rglob("*") if not path.is_symlink())
            expected = {
                path.relative_to(work / "out").as_posix(): path.read_bytes()
                for path in files
                if path.is_file()
            }
            with open_source(copy, None, choices) as source:
                entries = [item for item in source.items() if isinstance(item, EvidenceEntry)]
                found = {item.path.name: item.open().read() for item in entries}
        # 7-Zip unpacks these, too: they are named as not read.
        unread = {f"{each} LZMA2.bin" for each in SEVEN_ZIP_UNREAD}
        expected = {
            name: content
            for name, content in expected.items()
            if name not in unread and "PPMd" not in name
        }
        assert found == expected, archive.name


def unpacking(archive: Path) -> tuple[str | Path, ...]:
    """The command that unpacks an archive into the current folder."""
    if archive.suffix == ".cpio":
        return ("bsdtar", "-xf", archive)
    if archive.suffix in (".zst", ".lz4"):
        tool = archive.suffix[1:].replace("zst", "zstd")
        return ("sh", "-c", f"{tool} -q -d -c {archive} | bsdtar -xf -")
    zip_name = archive.with_suffix(".zip") if archive.stem == "split" else archive
    password = PASSWORD if zip_name.suffix == ".zip" else KOREAN_PASSWORD
    return ("7z", "x", "-y", f"-p{password}", zip_name)


def main() -> None:
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        files = tree(work / "files")
        for make in (zips, cpios, compressed, seven_zips):
            (work / make.__name__).mkdir()
            make(files, work / make.__name__)
    compare()
    total = 0
    for path in sorted(HERE.iterdir()):
        total += path.stat().st_size
        sys.stdout.write(f"{path.stat().st_size:8} {path.name}\n")
    sys.stdout.write(f"{total:8} in all\n")


if __name__ == "__main__":
    main()
