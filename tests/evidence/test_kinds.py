"""Each kind of file has the same outcome as a source, in a folder, in a ZIP and in a disk image."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from mayak import signatures
from mayak.case import Exclusion
from mayak.errors import EvidenceError
from mayak.evidence import open_source
from mayak.evidence.base import NotReadError
from mayak.evidence.containers import require_readers
from mayak.imaging.formats import named_as_image
from mayak.signatures import KINDS, FileKind, Use
from mayak.triage.reading import read
from mayak.types import EvidenceEntry, Failure
from mayak_synthetic.exfat import volume
from phone_backups import android_backup

IMAGES = Path(__file__).parent / "images"
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(200)) + b"\xff\xd9"


def saved(name, mode="RGB"):
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").convert(mode).save(stream, name)
    return stream.getvalue()


def tar(mode="w", form=tarfile.GNU_FORMAT):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode, format=form) as archive:
        info = tarfile.TarInfo("a.jpg")
        info.size = len(JPEG)
        archive.addfile(info, io.BytesIO(JPEG))
    return stream.getvalue()


def zipped(members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def fixture(name):
    whole = IMAGES / name
    return whole.read_bytes() if whole.exists() else lzma.open(f"{whole}.xz").read()


def cursor():
    bitmap = struct.pack("<L2l2H6L", 40, 64, 96, 1, 24, *[0] * 6) + bytes(64 * 96 * 3)
    return struct.pack("<3H4B2H2L", 0, 2, 1, 64, 48, 0, 0, 5, 5, len(bitmap), 22) + bitmap


def fits():
    cards = (
        "SIMPLE  =                    T",
        "BITPIX  =                    8",
        "NAXIS   =        2",
    )
    return "".join(card.ljust(80) for card in cards).encode().ljust(2880)


def core_storage():
    return bytes(8) + b"\1\0" + bytes(78) + b"CS" + bytes(4096)


WHOLE = {
    "ZIP": zipped({"a.jpg": JPEG}),
    "TAR": tar(),
    "gzip": gzip.compress(tar()),
    "bzip2": bz2.compress(tar()),
    "xz": lzma.compress(tar()),
    "Android backup": android_backup(tar()),
    "E01": fixture("phone.E01"),
    "NTFS": fixture("ntfs.dd"),
    "exFAT": fixture("exfat.dd"),
    "FAT12 or FAT16": fixture("fat.dd"),
    "ext2, ext3 or ext4": fixture("ext4.dd"),
    "HFS+": fixture("hfsplus.dd"),
    "ISO 9660": fixture("disc.iso"),
    "GPT": fixture("gpt.dd"),
    "MBR": fixture("mbr.dd"),
    "Core Storage (FileVault or a Fusion Drive)": core_storage(),
    "BMP": saved("BMP"),
    "ICO": saved("ICO"),
    "PPM": saved("PPM"),
    "PFM": b"PF\n64 48\n-1.0\n" + bytes(64 * 48 * 12),
    "PAM": b"P7\nWIDTH 64\nHEIGHT 48\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n" + bytes(9216),
    "SGI": saved("SGI"),
    "PCX": saved("PCX"),
    "DIB": saved("DIB"),
    "CUR": cursor(),
    "MSP": saved("MSP", "1"),
    "GBR": struct.pack(">5L4sL", 32, 2, 64, 48, 1, b"GIMP", 10) + b"pen\0" + bytes(64 * 48),
    "FITS": fits(),
    "XBM": saved("XBM", "1"),
}
"""Real files of the kinds that more than their marks are needed for."""
FLOATS = saved("PPM", "F")
LATE_PDF = b"HTTP/1.1 200 OK\r\n\r\n%PDF-1.4\n" + bytes(100)


def marked(kind, alternative):
    """Zeros with the marks of a kind; ``alternative`` counts those of its first mark."""
    first, *others = kind.marks
    end = max(mark.offset for mark in kind.marks)
    data = bytearray(max(4096, (2 << 20) if end > 4096 else 0))
    chosen = [(first.offset, first.alternatives[alternative])]
    chosen += [(mark.offset, mark.alternatives[0]) for mark in others]
    for offset, magic in chosen:
        data[offset : offset + len(magic)] = magic
    return bytes(data)


def samples():
    for row, kind in enumerate(KINDS):
        if kind.check is signatures._never:  # only its name is known
            continue
        if kind is signatures.LATE_PDF:
            yield f"{row} late {kind.name}", kind, LATE_PDF
        elif kind.name == "PPM" and ".pfm" in kind.extensions:
            yield f"{row} {kind.name} of floats", kind, FLOATS
        elif kind.name in WHOLE:
            yield f"{row} {kind.name}", kind, WHOLE[kind.name]
        # An E01 of nothing but its mark is taken for a later segment of a split one.
        if kind.marks and kind.check is None and kind is not signatures.E01:
            for number in range(len(kind.marks[0].alternatives)):
                yield f"{row} {kind.name}, mark {number}", kind, marked(kind, number)


SAMPLES = {name.translate(str.maketrans("/.", "__")): rest for name, *rest in samples()}
OTHERS = {
    "empty": b"",
    "text": b"A list of things to buy.\n" * 99,
    "text that begins with BM": b"BM is a text that begins with two letters\n" * 20,
    "text that speaks of PDF": b"A file begins with %PDF-1.7, then come objects.\n" * 20,
    "gzip of a text": gzip.compress(b"text" * 99),
    "exFAT's table of capitals": struct.pack("<256H", *range(256)),
    "copy of a boot sector": fixture("ntfs.dd")[:8192],
    "GPT of unknown volumes": fixture("gpt.dd")[: 34 * 512] + bytes(1 << 20),
}
FILES = OTHERS | {name: data for name, (_, data) in SAMPLES.items()}


def taken(source):
    """Each item of a source, with what triage makes of a file while the source is open."""
    return [(item, item if isinstance(item, Failure) else read(item)) for item in source.items()]


def outcome(items, below):
    """What became of a file, by what was listed at and below its path."""
    listed = {}
    for item, result in items:
        path = item.path if isinstance(item, Failure) else str(item.path)
        # Of a source that is listed as it is: it has no entries.
        if isinstance(item, Failure) and item.error == "NoEntries":
            continue
        if path == below or path.startswith(f"{below}/"):
            listed.setdefault(path.removeprefix(below), []).append(result)
    own = listed.pop("", [])
    gaps = [(r.error, r.message, r.kind) for r in own if isinstance(r, Failure)]
    if listed or (own and isinstance(own[0], Exclusion) and own[0].rule == "container"):
        if gaps and not listed:
            ((_, message, _),) = gaps
            return ("not read", message.removeprefix("container cannot be entered: "))
        return ("entered", sorted(listed), gaps)
    if gaps:
        return ("not read", *gaps[0])
    return "decoded" if own and isinstance(own[0], bytes) else "left out"


def as_source(path):
    try:
        with open_source(path) as source:
            items = taken(source)
            found = outcome(items, str(source.path))
            # The source itself is not an item.
            if source.path.kind != "file" and found[0] == "not read":
                return ("not read", found[2])
            return found if source.path.kind == "file" else ("entered", *entered(items, source))
    except EvidenceError as error:
        if "is of no known kind" in error.message or "a kind without pictures" in error.message:
            return "left out"
        assert error.remedy
        if isinstance(error, NotReadError):
            return ("not read", f"{error.reason}: {error.remedy}")
        text = str(error.__cause__ or error.message).removeprefix(f"{path} ")
        return ("not read", text)


def entered(items, source):
    at = str(source.path)
    gaps = [item for item, _ in items if isinstance(item, Failure) and item.path == at]
    paths = {item.path if isinstance(item, Failure) else str(item.path) for item, _ in items}
    gaps = [(gap.error, gap.message, gap.kind) for gap in gaps if gap.error != "NoEntries"]
    return sorted(path.removeprefix(at) for path in paths - {at}), gaps


@pytest.fixture(scope="module")
def containers(tmp_path_factory):
    """The entries of a folder, a ZIP and a disk image with all files in each."""
    root = tmp_path_factory.mktemp("kinds")
    (root / "folder").mkdir()
    for name, data in FILES.items():
        (root / "folder" / name).write_bytes(data)
    (root / "a.zip").write_bytes(zipped(FILES))
    (root / "disk.dd").write_bytes(volume(FILES, set()))
    listed = {}
    for name in ("folder", "a.zip", "disk.dd"):
        with open_source(root / name) as source:
            listed[name] = taken(source)
    return root / "folder", listed


@pytest.mark.parametrize("name", FILES)
def test_a_kind_has_the_same_outcome_wherever_it_is(containers, name):
    folder, listed = containers
    expected = as_source(folder / name)
    found = {where: outcome(listed[where], f"{where}/{name}") for where in listed}
    assert found == dict.fromkeys(listed, expected)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_outcome_is_that_of_the_table(containers, name):
    folder, _ = containers
    kind, data = SAMPLES[name]
    found = as_source(folder / name)
    assert signatures.KindTable(KINDS).identify(data) is kind
    if kind.can_hold_pictures:
        assert found[0] == "not read"
        assert kind.name in found[-1]
    elif kind.use is Use.DECODED or (kind.use is Use.ENTERED and kind.layer is None):
        assert found == "decoded"
    elif kind.use is Use.ENTERED and kind.name in WHOLE and FILES[name] is WHOLE[kind.name]:
        assert found[0] == "entered"
    elif kind.use is Use.NO_PICTURES:
        assert found == "left out"


def test_every_format_that_pillow_knows_by_its_bytes_has_a_row():
    Image.preinit()
    Image.init()
    others = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
    known = {name for name in Image.ID if Image.OPEN[name][1] is not None} - others
    assert known <= {kind.name for kind in signatures.PICTURES.rows}


def test_every_extension_of_an_image_is_in_the_table():
    Image.init()
    others = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF", "PDF", "PALM", "MPO"}
    extensions = {at for at, name in Image.registered_extensions().items() if name not in others}
    assert extensions <= signatures.IMAGE_EXTENSIONS


def test_an_extension_belongs_to_one_kind():
    extensions = [extension for kind in KINDS for extension in kind.extensions]
    assert sorted(set(extensions)) == sorted(extensions)


@pytest.mark.parametrize("name", ["picture.TGA", "overwritten.jpg"])
def test_an_image_that_only_its_name_tells_is_a_source(tmp_path, name):
    (tmp_path / name).write_bytes(bytes(2) + b"\x02" + bytes(500))
    with open_source(tmp_path / name) as source:
        (item,) = source.items()
    assert isinstance(item, EvidenceEntry)


@pytest.mark.parametrize("family", ["archive", "compressed file", "disk image", "file system"])
def test_a_container_that_is_entered_needs_a_layer(family):
    """Otherwise no reader is asked for it, and each such file counts as not an image."""
    with pytest.raises(ValueError, match=r"^New: a container that is entered needs a layer"):
        FileKind("New", family, Use.ENTERED)


@pytest.mark.parametrize("content", [zipped({}), zipped({"folder/": b""})], ids=["bare", "folder"])
def test_a_container_without_files_is_followed_by_that_statement(tmp_path, content):
    """Otherwise a reader that finds nothing would look like one whose files were all listed."""
    tmp_path.joinpath("a.zip").write_bytes(content)
    with open_source(tmp_path) as source:
        entry, gap = source.items()
    assert isinstance(entry, EvidenceEntry)
    assert (gap.path, gap.error) == (str(entry.path), "NoEntries")


@pytest.mark.parametrize("extension", sorted({*Image.registered_extensions(), ".txt", ".db"}))
def test_a_damaged_file_is_known_by_its_name_as_a_source_and_in_a_folder(tmp_path, extension):
    file = tmp_path / f"x{extension}"
    file.write_bytes(b"\x02\x81 nothing that anyone knows \xff\0")
    with open_source(tmp_path) as source:
        ((_, in_folder),) = taken(source)
    if named_as_image(file.name) or extension in signatures.BY_EXTENSION:
        with open_source(file) as source:
            ((_, alone),) = taken(source)
        if not isinstance(in_folder, bytes):  # a TGA has no mark
            assert (alone.error, alone.kind) == (in_folder.error, in_folder.kind)
    else:
        assert in_folder == Exclusion("unknown", "begins with 02 81 20 6e")
        with pytest.raises(EvidenceError, match="no known kind"):
            open_source(file)


def test_a_kind_that_is_entered_has_a_reader():
    entered = FileKind("New", "archive", Use.ENTERED, layer="archive")
    with pytest.raises(ValueError, match="New"):
        require_readers([*KINDS, entered])
    # Of documents, ``imaging.inside`` takes the pictures out.
    assert {kind.name for kind in KINDS if kind.use is Use.ENTERED and not kind.layer} == {"PDF"}
