"""The table of file kinds: how each is recognised by its first bytes, and what mayak does with it.

A row in ``KINDS`` is all that a kind needs to be known to ``open_source``, to the walk through
folders, archives and disk images, to the image decoder, and to the warnings about trailing data;
a container that is entered also needs a reader (``mayak.evidence.containers``). If several rows
match, the first one counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

from mayak.i18n import msg
from mayak.signatures import headers

Family = Literal[
    "archive",
    "compressed file",
    "disk image",
    "partition table",
    "file system",
    "image",
    "video",
    "document",
    "database",
    "mail",
    "cache",
    "program",
    "metadata",
]
_CONTAINER_FAMILIES = frozenset(
    {"archive", "compressed file", "disk image", "partition table", "file system"}
)
ContainerLayer = Literal["zip", "tar", "archive", "image"]
"""The kinds of ``EvidencePath`` layers that a file becomes when its content is listed."""


class Use(StrEnum):
    """What mayak does with a file of a kind."""

    DECODED = "decoded"
    """Given to the image decoder, which gives a reason if it cannot decode it here."""
    ENTERED = "entered"
    """What is in it is listed, or, for a document, its images are taken out of it."""
    VIDEO = "video"
    """Accepted as a source; its frames are not looked at."""
    UNREAD = "not read"
    """A container or file system that may hold images; it counts as not read, with a remedy."""
    UNEXAMINED = "not examined"
    """May hold images, which nothing here looks for; it counts as left out, like unknown files."""
    NO_PICTURES = "no pictures"
    """Left out."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Bytes at one offset: one of these alternatives, all of the same length."""

    offset: int
    alternatives: tuple[bytes, ...]

    def matches(self, head: bytes) -> bool:
        length = len(self.alternatives[0])
        return head[self.offset : self.offset + length] in self.alternatives


@dataclass(frozen=True, slots=True)
class FileKind:
    """One row: a kind matches if all its marks and its check do."""

    name: str
    """For an image Pillow's name of the format."""
    family: Family
    use: Use
    marks: tuple[Mark, ...] = ()
    check: Callable[[bytes], object] | None = None
    """A header's checks, for a kind whose marks are too short or that has none."""
    extensions: tuple[str, ...] = ()
    """Those of an image format count if its header is damaged or not sure. By those of other kinds
    a report estimates what is among the files that were left out."""
    layer: ContainerLayer | None = None
    """For a container: the kind of its layer in an ``EvidencePath``."""
    description: str = ""
    """A message with article and kind, if the name alone is not enough."""
    remedy: str = ""
    """What to do about a kind that is not read."""
    is_encrypted: bool = False

    def __post_init__(self) -> None:
        is_container = self.family in _CONTAINER_FAMILIES
        if self.use is Use.ENTERED and is_container and self.layer is None:
            # Without a layer no reader is asked, and its files would be missing without a word.
            raise ValueError(f"{self.name}: a container that is entered needs a layer")

    @property
    def described(self) -> str:
        """What messages call it, as in "is a 7z archive"."""
        return self.description or self.name

    def matches(self, head: bytes) -> bool:
        """Whether a file with these first bytes is of this kind; 512 of them are enough for all
        kinds that are not disk images or file systems."""
        for mark in self.marks:
            if not mark.matches(head):
                return False
        return self.check is None or bool(self.check(head[: headers.HEAD]))


Rows: TypeAlias = tuple[FileKind, ...]


class KindTable:
    """Some rows of the table, arranged so that most of them cost one comparison at most."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._by_first_byte: dict[
            int, tuple[tuple[int, int, tuple[bytes, ...], FileKind], ...]
        ] = {}

    def identify(self, head: bytes) -> FileKind | None:
        """Return the first row that matches, None if none does."""
        if not head:
            return None
        candidates = self._by_first_byte.get(head[0])
        if candidates is None:
            rows = (
                kind
                for kind in self.rows
                if kind.check is not _never and _may_begin_with(kind, head[0])
            )
            candidates = tuple((*_first_mark(kind), kind) for kind in rows)
            self._by_first_byte[head[0]] = candidates
        # Each file of a source is compared, so the first mark is tested without a call.
        for start, end, alternatives, kind in candidates:
            if head[start:end] in alternatives and kind.matches(head):
                return kind
        return None


def _first_mark(kind: FileKind) -> tuple[int, int, tuple[bytes, ...]]:
    mark = kind.marks[0] if kind.marks else Mark(0, (b"",))
    return mark.offset, mark.offset + len(mark.alternatives[0]), mark.alternatives


def _may_begin_with(kind: FileKind, first_byte: int) -> bool:
    starts = [mark for mark in kind.marks if mark.offset == 0]
    return all(any(a[0] == first_byte for a in mark.alternatives) for mark in starts)


def at(offset: int, *alternatives: bytes) -> Mark:
    return Mark(offset, alternatives)


UNPACK = msg("unpack a copy of it, or convert a copy to a raw image, with another program")
CONVERT = msg("convert a copy to E01 or raw")
CONVERT_QEMU = msg("convert a copy to raw: qemu-img convert -O raw COPY disk.dd")
CONVERT_MAC = msg("convert a copy to raw on a Mac: hdiutil convert COPY -format UDTO -o disk")
MOUNT = msg("mount it read-only and give that folder")
MOUNT_OR_UNTESTED = msg(
    "mount it read-only and give that folder, or allow its reader with --untested-readers"
)
GIVE_PASSWORD = msg("give its password or recovery key with --password-file")
DECRYPT_OR_UNTESTED = msg(
    "decrypt a copy and give that, or allow its reader with --untested-readers and --password-file"
)
DECRYPT = msg("decrypt a copy with its password or key, and give that as a source of its own")


def _dotted(extensions: str) -> tuple[str, ...]:
    return tuple(f".{one}" for one in extensions.split())


def _unread(
    name: str,
    description: str,
    *marks: Mark,
    family: Family,
    remedy: str = UNPACK,
    ext: str = "",
) -> FileKind:
    return FileKind(
        name,
        family,
        Use.UNREAD,
        marks,
        extensions=_dotted(ext),
        description=description,
        remedy=remedy,
    )


def _compressed(name: str, mark: Mark, ext: str) -> FileKind:
    extensions = _dotted(ext)
    return FileKind(
        name, "compressed file", Use.ENTERED, (mark,), extensions=extensions, layer="tar"
    )


def _file_system(
    name: str, *marks: Mark, check: Callable[[bytes], object] | None = None, ext: str = ""
) -> FileKind:
    extensions = _dotted(ext)
    return FileKind(name, "file system", Use.ENTERED, marks, check, extensions, layer="image")


def _virtual_disk(name: str, mark: Mark, ext: str = "") -> FileKind:
    return FileKind(
        name, "disk image", Use.ENTERED, (mark,), extensions=_dotted(ext), layer="image"
    )


def _other_volume(
    name: str,
    *marks: Mark,
    description: str = "",
    is_encrypted: bool = False,
    use: Use = Use.UNREAD,
) -> FileKind:
    return FileKind(
        name,
        "file system",
        use,
        marks,
        layer="image",
        description=description,
        remedy=DECRYPT if is_encrypted else MOUNT,
        is_encrypted=is_encrypted,
    )


def _image(
    name: str, *marks: Mark, check: Callable[[bytes], object] | None = None, ext: str = ""
) -> FileKind:
    return FileKind(name, "image", Use.DECODED, marks, check, _dotted(ext))


def _never(_: bytes) -> bool:
    return False


def _named_only(name: str, ext: str) -> FileKind:
    """An image format that has no signature: only the file's name counts."""
    return _image(name, check=_never, ext=ext)


def _unexamined(name: str, family: Family, ext: str) -> FileKind:
    """Files that may hold images and are not recognised by their bytes."""
    return FileKind(name, family, Use.UNEXAMINED, check=_never, extensions=_dotted(ext))


HEAD = 0x8006
"""First bytes of a file that are enough to recognise all kinds, except Btrfs."""
FAR_HEAD = 0x10048
"""First bytes that are enough for Btrfs, too."""

BOOT = at(510, b"\x55\xaa")
"""The end of a boot sector."""

KINDS: Rows = (
    # Archives.
    FileKind(
        "ZIP", "archive", Use.ENTERED, (at(0, b"PK\3\4", b"PK\5\6", b"PK\7\x08"),), layer="zip"
    ),
    # Old TARs have no mark; the right checksum in the header is as good.
    FileKind("TAR", "archive", Use.ENTERED, check=headers.is_tar, layer="tar"),
    # Entered if a TAR is inside.
    _compressed("gzip", at(0, b"\x1f\x8b\x08"), ext="gz tgz"),
    _compressed("bzip2", at(0, b"BZh"), ext="bz2"),
    _compressed("xz", at(0, b"\xfd7zXZ\0"), ext="xz"),
    # Disk images, partition tables and file systems. TSK reads none of the ``_unread_volume``s;
    # "encrypted" are those whose mark proves it.
    FileKind("E01", "disk image", Use.ENTERED, (at(0, b"EVF\x09\x0d\x0a\xff\x00"),), layer="image"),
    _unread(
        "Ex01",
        msg("an Ex01 image"),
        at(0, b"EVF2\x0d\x0a\x81\x00"),
        family="disk image",
        remedy=CONVERT,
    ),
    _unread(
        "L01",
        msg("an L01 image"),
        at(0, b"LVF\x09\x0d\x0a\xff\x00"),
        family="disk image",
        remedy=CONVERT,
    ),
    _virtual_disk("VMDK", at(0, b"KDMV"), ext="vmdk"),
    _virtual_disk("VMDK descriptor", at(0, b"# Disk DescriptorFile")),
    _virtual_disk("QCOW2", at(0, b"QFI\xfb"), ext="qcow2"),
    _virtual_disk("VHDX", at(0, b"vhdxfile"), ext="vhdx"),
    _virtual_disk("VHD", at(0, b"conectix"), ext="vhd"),
    _virtual_disk("VDI", at(64, b"\x7f\x10\xda\xbe"), ext="vdi"),
    _virtual_disk("Android sparse image", at(0, b"\x3a\xff\x26\xed")),
    _other_volume("BitLocker", at(3, b"-FVE-FS-"), is_encrypted=True),
    _other_volume(
        "BitLocker To Go",
        at(424, bytes.fromhex("3bd66749292ed84a8399f6a339e3d001")),
        is_encrypted=True,
    ),
    _other_volume("LUKS", at(0, b"LUKS\xba\xbe"), is_encrypted=True, use=Use.ENTERED),
    _other_volume("APFS", at(32, b"NXSB")),
    # "CS" is short, so the version before it counts, too.
    _other_volume(
        "Core Storage (FileVault or a Fusion Drive)",
        at(88, b"CS"),
        at(8, b"\x01\0"),
        description=msg("Core Storage (FileVault or a Fusion Drive)"),
    ),
    _other_volume("F2FS", at(1024, b"\x10\x20\xf5\xf2")),
    _other_volume("EROFS", at(1024, b"\xe2\xe1\xf5\xe0")),
    _other_volume("XFS", at(0, b"XFSB"), use=Use.ENTERED),
    _other_volume("Btrfs", at(0x10040, b"_BHRfS_M")),
    _other_volume("LVM", at(512, b"LABELONE")),
    _file_system("NTFS", at(3, b"NTFS    "), BOOT),
    _file_system("exFAT", at(3, b"EXFAT   "), BOOT),
    _file_system("FAT12 or FAT16", at(54, b"FAT"), BOOT),
    _file_system("FAT32", at(82, b"FAT"), BOOT),
    # Two bytes are few: the block size (2**10 to 2**16) must be one, too.
    _file_system(
        "ext2, ext3 or ext4",
        at(1080, b"\x53\xef"),
        at(1048, *(bytes((power, 0, 0, 0)) for power in range(7))),
    ),
    _file_system("HFS+", at(1024, b"H+\0\4", b"HX\0\5")),
    _file_system("ISO 9660", at(0x8001, b"CD001"), ext="iso"),
    FileKind("GPT", "partition table", Use.ENTERED, (at(512, b"EFI PART"),), layer="image"),
    FileKind(
        "GPT with sectors of 4096 bytes",
        "partition table",
        Use.ENTERED,
        (at(4096, b"EFI PART"),),
        layer="image",
    ),
    FileKind("MBR", "partition table", Use.ENTERED, (BOOT,), headers.has_partitions, layer="image"),
    # Containers that hold files and are not entered.
    _unread("7z", msg("a 7z archive"), at(0, b"7z\xbc\xaf\x27\x1c"), family="archive"),
    _unread("RAR", msg("a RAR archive"), at(0, b"Rar!\x1a\x07"), family="archive"),
    # A UDIF is known by its end, which is read of files that are called so.
    FileKind("DMG", "disk image", Use.ENTERED, check=_never, extensions=(".dmg",), layer="image"),
    FileKind(
        "encrypted DMG",
        "disk image",
        Use.UNREAD,
        (at(0, b"encrcdsa"),),
        description=msg("an encrypted DMG disk image"),
        remedy=DECRYPT,
        is_encrypted=True,
    ),
    _unread(
        "VMDK of changes",
        msg("a VMDK of changes to another disk"),
        at(0, b"COWD"),
        family="disk image",
        remedy=CONVERT_QEMU,
    ),
    _unread(
        "VMDK of changes",
        msg("a VMDK of changes to another disk"),
        at(0, b"\xbe\xba\xfe\xca\0\0\0\0"),
        family="disk image",
        remedy=CONVERT_QEMU,
    ),
    _unread(
        "Parallels disk",
        msg("a Parallels disk image"),
        at(0, b"WithoutFreeSpace", b"WithouFreSpacExt"),
        family="disk image",
        remedy=CONVERT_QEMU,
        ext="hdd hds",
    ),
    _unread(
        "QED", msg("a QED disk image"), at(0, b"QED\0"), family="disk image", remedy=CONVERT_QEMU
    ),
    _unread(
        "sparse disk image",
        msg("a sparse disk image of a Mac"),
        at(0, b"sprs"),
        family="disk image",
        remedy=CONVERT_MAC,
        ext="sparseimage",
    ),
    # Images, by Pillow's names. Some are decoded by no library here: the decoder says so.
    _image("JPEG", at(0, b"\xff\xd8\xff"), ext="jpg jpeg jpe jfif mpo"),
    _image("PNG", at(0, b"\x89PNG"), ext="png apng"),
    _image("GIF", at(0, b"GIF8"), ext="gif"),
    _image("BMP", at(0, b"BM"), check=headers.is_bmp, ext="bmp"),
    _image(
        "TIFF", at(0, b"II*\0", b"MM\0*", b"II\0*", b"MM*\0", b"II+\0", b"MM\0+"), ext="tif tiff"
    ),
    _image("WEBP", at(0, b"RIFF"), at(8, b"WEBP"), ext="webp"),
    _image("AVIF", at(4, b"ftyp"), at(8, b"avif", b"avis"), ext="avif avifs"),
    _image(
        "HEIF",
        at(4, b"ftyp"),
        at(8, b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"),
        ext="heic heics heif heifs hif",
    ),
    _image("CR3", at(4, b"ftyp"), at(8, b"crx ")),
    _image("JPEG2000", at(0, b"\0\0\0\x0cjP  "), ext="jp2 j2k jpc jpf jpx j2c"),
    _image("JPEG2000", at(0, b"\xffO\xffQ")),
    _image("PSD", at(0, b"8BPS"), ext="psd"),
    _image("JPEG XL", at(0, b"\0\0\0\x0cJXL ")),
    _image("RAF", at(0, b"FUJIFILMCCD-RAW")),
    _image("RW2", at(0, b"IIU\0")),
    _image("ORF", at(0, b"IIRO", b"IIRS")),
    _image("ICO", at(0, b"\0\0\1\0"), check=headers.is_ico, ext="ico"),
    _image("DDS", at(0, b"DDS "), ext="dds"),
    _image("BLP", at(0, b"BLP1", b"BLP2"), ext="blp"),
    _image("DCX", at(0, b"\xb1\x68\xde\x3a"), ext="dcx"),
    _image("FLI", at(4, b"\x11\xaf", b"\x12\xaf"), at(14, b"\0\0", b"\3\0"), ext="fli flc"),
    _image("FTEX", at(0, b"FTEX"), ext="ftc ftu"),
    _image("ICNS", at(0, b"icns"), ext="icns"),
    _image("MCIDAS", at(0, b"\0\0\0\0\0\0\0\4")),
    _image("PIXAR", at(0, b"\x80\xe8\0\0"), ext="pxr"),
    _image("QOI", at(0, b"qoif"), ext="qoi"),
    _image("SUN", at(0, b"\x59\xa6\x6a\x95"), ext="ras"),
    _image("XPM", at(0, b"/* XPM */"), ext="xpm"),
    _image("XVTHUMB", at(0, b"P7 332")),
    # A few bytes, digits or words that other files begin with, too: the whole header counts.
    _image("PPM", check=headers.is_portable, ext="pbm pgm ppm pnm"),
    _image("PPM", at(0, b"Pf"), check=headers.GREY_FLOATS.match, ext="pfm"),
    _image("PFM", at(0, b"PF"), check=headers.COLOUR_FLOATS.match),
    _image("PAM", at(0, b"P7\n"), check=headers.ARBITRARY.match),
    _image("SGI", at(0, b"\x01\xda"), check=headers.is_sgi, ext="bw rgb rgba sgi"),
    _image("PCX", at(0, b"\n"), check=headers.is_pcx, ext="pcx"),
    _image("DIB", check=headers.is_dib, ext="dib"),
    _image("CUR", at(0, b"\0\0\2\0"), check=headers.is_cursor, ext="cur"),
    _image("MSP", at(0, b"DanM", b"LinS"), check=headers.is_msp, ext="msp"),
    _image("GBR", at(20, b"GIMP"), check=headers.is_brush, ext="gbr"),
    _image("FITS", at(0, b"SIMPLE"), check=headers.FITS.match, ext="fit fits"),
    _image("XBM", check=headers.XBM.match, ext="xbm"),
    _named_only("TGA", "tga icb vda vst"),
    _named_only("IM", "im"),
    _named_only("IPTC", "iim"),
    _named_only("PCD", "pcd"),
    _named_only("PALM", "palm"),
    # Videos and documents.
    FileKind(
        "MP4 or QuickTime",
        "video",
        Use.VIDEO,
        (at(4, b"ftyp"),),
        extensions=_dotted("mp4 m4v mov 3gp 3g2"),
    ),
    FileKind("PDF", "document", Use.ENTERED, (at(0, b"%PDF-"),)),
    FileKind("PDF", "document", Use.ENTERED, check=headers.is_late_pdf),
    # Kinds without a reader so far.
    FileKind(
        "Office document",
        "document",
        Use.UNEXAMINED,
        (at(0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),),
        extensions=_dotted("doc xls ppt hwp"),
        description=msg("an Office document"),
    ),
    FileKind(
        "SQLite",
        "database",
        Use.UNEXAMINED,
        (at(0, b"SQLite format 3\0"),),
        extensions=_dotted(
            "db db3 sqlite sqlite3 sqlitedb storedata"
            " db-wal db-journal sqlite-wal sqlite-journal sqlitedb-wal"
        ),
    ),
    _unexamined("other document", "document", "rtf pages key numbers one"),
    _unexamined("other database", "database", "realm ldb edb mdb accdb"),
    _unexamined("other video", "video", "avi mkv webm wmv mpg mpeg m2ts mts flv vob"),
    _unexamined("other archive", "archive", "zst lz4 cpio squashfs z01 cab egg alz lzh arj"),
    _unexamined("other disk image", "disk image", "img dd raw bin ab ad1 aff aff4 ufd"),
    _unexamined("mail or contacts", "mail", "eml emlx emlxpart mbox msg pst ost mht mhtml vcf"),
    _unexamined("cache", "cache", "ktx ithmb thumbdata atx imgcache cache cachedata webarchive"),
    # Decoding these would run what they hold, through Ghostscript or Windows.
    FileKind("PostScript", "program", Use.NO_PICTURES, (at(0, b"%!PS", b"\xc5\xd0\xd3\xc6"),)),
    FileKind("WMF", "program", Use.NO_PICTURES, (at(0, b"\xd7\xcd\xc6\x9a"),)),
    FileKind("AppleDouble", "metadata", Use.NO_PICTURES, (at(0, b"\0\5\x16\7"),)),
)


def _table(chosen: Callable[[FileKind], bool]) -> KindTable:
    return KindTable(tuple(kind for kind in KINDS if chosen(kind)))


PICTURES = _table(lambda kind: kind.use is Use.DECODED)
CONTAINERS = _table(lambda kind: kind.layer is not None or kind.use is Use.UNREAD)
"""Kinds that hold files, entered or not read."""
SINGLE_FILES = _table(
    lambda kind: (
        kind.use in (Use.DECODED, Use.VIDEO) or (kind.use is Use.ENTERED and kind.layer is None)
    )
)
"""Kinds that are a source of their own and not a container."""
PROGRAMS = _table(lambda kind: kind.family == "program")
ATTACHED = _table(
    lambda kind: (
        kind.use is Use.DECODED
        or kind.family in ("archive", "compressed file", "document", "database")
    )
)
"""Kinds that are looked for after the end of an image and among the attachments of a document."""
VIRTUAL_DISKS = _table(
    lambda kind: kind.family == "disk image" and kind.use is Use.ENTERED and kind.name != "E01"
)
COMPRESSED = _table(lambda kind: kind.family == "compressed file")
VOLUMES = _table(lambda kind: kind.family in ("file system", "partition table"))
GPT = _table(lambda kind: kind.name.startswith("GPT"))
OTHER_VOLUMES = tuple(kind for kind in VOLUMES.rows if kind.remedy)
"""Kinds of volumes that TSK does not read: other readers do, or none."""

CONTAINER_LAYERS: frozenset[str] = frozenset(kind.layer for kind in KINDS if kind.layer is not None)
IMAGE_EXTENSIONS = frozenset(extension for kind in PICTURES.rows for extension in kind.extensions)


def _row(name: str) -> FileKind:
    (kind,) = (kind for kind in KINDS if kind.name == name)
    return kind


ZIP = _row("ZIP")
TAR = _row("TAR")
E01 = _row("E01")
VMDK = _row("VMDK")
VMDK_DESCRIPTOR = _row("VMDK descriptor")
_DMG = _row("DMG")
EXFAT = _row("exFAT")
XFS, APFS, LUKS = _row("XFS"), _row("APFS"), _row("LUKS")
BITLOCKER = (_row("BitLocker"), _row("BitLocker To Go"))
CORE_STORAGE = _row("Core Storage (FileVault or a Fusion Drive)")
EXT = _row("ext2, ext3 or ext4")
OFFICE_DOCUMENT = _row("Office document")
APPLE_DOUBLE = _row("AppleDouble")
LATE_PDF = next(kind for kind in KINDS if kind.check is headers.is_late_pdf)

END = 512
"""Last bytes of a file that are enough for ``by_end``."""


def by_end(name: str, read_end: Callable[[], bytes]) -> FileKind | None:
    """Return the kind of a file that is known by its last ``END`` bytes, None for all others; they
    are read only of files with the extension of such a kind."""
    is_named = name.lower().endswith(_DMG.extensions)
    return _DMG if is_named and read_end().startswith(b"koly") else None
