"""The table of file kinds: how each is recognised by its first bytes, and what mayak does with it.

A row in ``KINDS`` is all that a kind needs to be known to ``open_source``, to the walk through
folders, archives and disk images, to the image decoder, to the census of what was not read, and to
the warnings about trailing data; a container that is entered also needs a reader
(``mayak.evidence.containers``). If several rows match, the first one counts.
"""

from __future__ import annotations

from collections.abc import Callable

from mayak.i18n import msg
from mayak.signatures import headers
from mayak.signatures.kind import (
    CONVERT,
    CONVERT_MAC,
    CONVERT_QEMU,
    DECRYPT,
    DECRYPT_OR_UNTESTED,
    GIVE_PASSWORD,
    MOUNT,
    MOUNT_OR_UNTESTED,
    OPEN_OR_DECRYPT,
    UNPACK,
    ContainerLayer,
    Family,
    FileKind,
    KindTable,
    Mark,
    Rows,
    Use,
    at,
)
from mayak.signatures.kind import dotted as _dotted
from mayak.signatures.kind import never as _never
from mayak.signatures.others import EXPORT, OTHERS

__all__ = [
    "CONVERT",
    "CONVERT_MAC",
    "CONVERT_QEMU",
    "DECRYPT",
    "DECRYPT_OR_UNTESTED",
    "EXPORT",
    "GIVE_PASSWORD",
    "MOUNT",
    "MOUNT_OR_UNTESTED",
    "OPEN_OR_DECRYPT",
    "UNPACK",
    "ContainerLayer",
    "Family",
    "FileKind",
]
__all__ += ["KindTable", "Mark", "Rows", "Use", "at"]


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
    remedy: str = MOUNT,
) -> FileKind:
    return FileKind(
        name,
        "file system",
        use,
        marks,
        layer="image",
        description=description,
        remedy=remedy,
        is_encrypted=is_encrypted,
    )


def _image(
    name: str, *marks: Mark, check: Callable[[bytes], object] | None = None, ext: str = ""
) -> FileKind:
    return FileKind(name, "image", Use.DECODED, marks, check, _dotted(ext))


def _named_only(name: str, ext: str) -> FileKind:
    """An image format that has no signature: only the file's name counts."""
    return _image(name, check=_never, ext=ext)


def _unread_by_name(name: str, family: Family, ext: str) -> FileKind:
    """Containers that may hold images and are not recognised by their bytes."""
    return FileKind(name, family, Use.UNREAD, check=_never, extensions=_dotted(ext), remedy=UNPACK)


HEAD = 0x8006
"""First bytes of a file that are enough to recognise all kinds, except Btrfs."""
FAR_HEAD = 0x10048
"""First bytes that are enough for Btrfs, too."""

BOOT = at(510, b"\x55\xaa")
"""The end of a boot sector."""

KINDS: Rows = (
    # Archives.
    FileKind(
        "ZIP",
        "archive",
        Use.ENTERED,
        (at(0, b"PK\3\4", b"PK\5\6", b"PK\7\x08"),),
        extensions=_dotted("zip"),
        layer="zip",
    ),
    # Old TARs have no mark; the right checksum in the header is as good.
    FileKind(
        "TAR", "archive", Use.ENTERED, check=headers.is_tar, extensions=_dotted("tar"), layer="tar"
    ),
    FileKind(
        "cpio",
        "archive",
        Use.ENTERED,
        (at(0, b"07", b"\xc7\x71", b"\x71\xc7"),),
        headers.is_cpio,
        _dotted("cpio"),
        layer="archive",
    ),
    FileKind(
        "7z",
        "archive",
        Use.ENTERED,
        (at(0, b"7z\xbc\xaf\x27\x1c"),),
        extensions=_dotted("7z"),
        layer="archive",
        description=msg("a 7z archive"),
    ),
    FileKind(
        "RAR",
        "archive",
        Use.ENTERED,
        (at(0, b"Rar!\x1a\x07"),),
        extensions=_dotted("rar"),
        layer="archive",
        description=msg("a RAR archive"),
    ),
    # Entered if something that may hold pictures is inside.
    _compressed("gzip", at(0, b"\x1f\x8b\x08"), ext="gz tgz"),
    _compressed("bzip2", at(0, b"BZh"), ext="bz2"),
    _compressed("xz", at(0, b"\xfd7zXZ\0"), ext="xz"),
    # Its frames, and those to be skipped, with which some programs begin.
    _compressed(
        "Zstandard",
        at(0, b"\x28\xb5\x2f\xfd", *(bytes((0x50 + n,)) + b"\x2a\x4d\x18" for n in range(16))),
        ext="zst",
    ),
    _compressed("LZ4", at(0, b"\x04\x22\x4d\x18", b"\x02\x21\x4c\x18"), ext="lz4"),
    # Disk images, partition tables and file systems. TSK reads none of the ``_other_volume``s;
    # "encrypted" are those whose mark proves it.
    FileKind(
        "E01",
        "disk image",
        Use.ENTERED,
        (at(0, b"EVF\x09\x0d\x0a\xff\x00"),),
        extensions=_dotted("e01"),
        layer="image",
    ),
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
    _virtual_disk(msg("VMDK descriptor"), at(0, b"# Disk DescriptorFile")),
    _virtual_disk("QCOW2", at(0, b"QFI\xfb"), ext="qcow2"),
    _virtual_disk("VHDX", at(0, b"vhdxfile"), ext="vhdx"),
    _virtual_disk("VHD", at(0, b"conectix"), ext="vhd"),
    _virtual_disk("VDI", at(64, b"\x7f\x10\xda\xbe"), ext="vdi"),
    _virtual_disk(msg("Android sparse image"), at(0, b"\x3a\xff\x26\xed")),
    _other_volume("BitLocker", at(3, b"-FVE-FS-"), is_encrypted=True, remedy=DECRYPT_OR_UNTESTED),
    _other_volume(
        "BitLocker To Go",
        at(424, bytes.fromhex("3bd66749292ed84a8399f6a339e3d001")),
        is_encrypted=True,
        remedy=DECRYPT_OR_UNTESTED,
    ),
    _other_volume(
        "LUKS",
        at(0, b"LUKS\xba\xbe"),
        is_encrypted=True,
        use=Use.ENTERED,
        remedy=OPEN_OR_DECRYPT,
    ),
    _other_volume("APFS", at(32, b"NXSB"), remedy=MOUNT_OR_UNTESTED),
    # "CS" is short, so the version before it counts, too.
    _other_volume(
        msg("Core Storage (FileVault or a Fusion Drive)"),
        at(88, b"CS"),
        at(8, b"\x01\0"),
        description=msg("Core Storage (FileVault or a Fusion Drive)"),
        remedy=DECRYPT_OR_UNTESTED,
    ),
    _other_volume("F2FS", at(1024, b"\x10\x20\xf5\xf2")),
    _other_volume("EROFS", at(1024, b"\xe2\xe1\xf5\xe0")),
    _other_volume("XFS", at(0, b"XFSB"), use=Use.ENTERED),
    _other_volume("Btrfs", at(0x10040, b"_BHRfS_M")),
    _other_volume("LVM", at(512, b"LABELONE")),
    _file_system("NTFS", at(3, b"NTFS    "), BOOT),
    _file_system("exFAT", at(3, b"EXFAT   "), BOOT),
    _file_system(msg("FAT12 or FAT16"), at(54, b"FAT"), BOOT),
    _file_system("FAT32", at(82, b"FAT"), BOOT),
    # Two bytes are few: the block size (2**10 to 2**16) must be one, too.
    _file_system(
        msg("ext2, ext3 or ext4"),
        at(1080, b"\x53\xef"),
        at(1048, *(bytes((power, 0, 0, 0)) for power in range(7))),
    ),
    _file_system("HFS+", at(1024, b"H+\0\4", b"HX\0\5")),
    _file_system("ISO 9660", at(0x8001, b"CD001"), ext="iso"),
    FileKind("GPT", "partition table", Use.ENTERED, (at(512, b"EFI PART"),), layer="image"),
    FileKind(
        msg("GPT with sectors of 4096 bytes"),
        "partition table",
        Use.ENTERED,
        (at(4096, b"EFI PART"),),
        layer="image",
    ),
    FileKind("MBR", "partition table", Use.ENTERED, (BOOT,), headers.has_partitions, layer="image"),
    # Containers that the names or the ends of their files set apart.
    FileKind(
        msg("Android backup"),
        "archive",
        Use.ENTERED,
        (at(0, b"ANDROID BACKUP\n"),),
        extensions=_dotted("ab"),
        layer="archive",
        description=msg("an Android backup"),
    ),
    # Of an encrypted one only the property list can be read.
    FileKind(
        msg("iTunes or Finder backup"),
        "archive",
        Use.ENTERED,
        check=_never,
        names=("Manifest.plist",),
        layer="archive",
        description=msg("an iTunes or Finder backup"),
    ),
    # A UDIF is known by its end, which is read of files that are called so.
    FileKind("DMG", "disk image", Use.ENTERED, check=_never, extensions=(".dmg",), layer="image"),
    # Disk images that are not read.
    _unread(
        msg("VMDK of changes"),
        msg("a VMDK of changes to another disk"),
        at(0, b"COWD"),
        family="disk image",
        remedy=CONVERT_QEMU,
    ),
    _unread(
        msg("VMDK of changes"),
        msg("a VMDK of changes to another disk"),
        at(0, b"\xbe\xba\xfe\xca\0\0\0\0"),
        family="disk image",
        remedy=CONVERT_QEMU,
    ),
    _unread(
        msg("Parallels disk image"),
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
        msg("sparse disk image of a Mac"),
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
    _image("JPEG XL", at(0, b"\0\0\0\x0cJXL "), ext="jxl"),
    _image("JPEG XL", at(0, b"\xff\x0a")),
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
    _image("PPM", at(0, b"P"), check=headers.is_portable, ext="pbm pgm ppm pnm"),
    _image("PPM", at(0, b"Pf"), check=headers.GREY_FLOATS.match, ext="pfm"),
    _image("PFM", at(0, b"PF"), check=headers.COLOUR_FLOATS.match),
    _image("PAM", at(0, b"P7\n"), check=headers.ARBITRARY.match),
    _image("SGI", at(0, b"\x01\xda"), check=headers.is_sgi, ext="bw rgb rgba sgi"),
    _image("PCX", at(0, b"\n"), check=headers.is_pcx, ext="pcx"),
    _image("DIB", at(0, b"(", b"4", b"8", b"@", b"l", b"|"), check=headers.is_dib, ext="dib"),
    _image("CUR", at(0, b"\0\0\2\0"), check=headers.is_cursor, ext="cur"),
    _image("MSP", at(0, b"DanM", b"LinS"), check=headers.is_msp, ext="msp"),
    _image("GBR", at(20, b"GIMP"), check=headers.is_brush, ext="gbr"),
    _image("FITS", at(0, b"SIMPLE"), check=headers.FITS.match, ext="fit fits"),
    _image("XBM", at(0, b"#", b"/", b" ", b"\t", b"\n", b"\r"), check=headers.XBM.match, ext="xbm"),
    _named_only("TGA", "tga icb vda vst"),
    _named_only("IM", "im"),
    _named_only("IPTC", "iim"),
    _named_only("PCD", "pcd"),
    _named_only("PALM", "palm"),
    # Documents of which the images are taken out.
    FileKind("PDF", "document", Use.ENTERED, (at(0, b"%PDF-"),)),
    FileKind("PDF", "document", Use.ENTERED, check=headers.is_late_pdf),
    # Containers without a mark of their own, by their names.
    _unread_by_name(msg("other archive"), "archive", "squashfs z01 cab egg alz lzh arj"),
    _unread_by_name(
        msg("other disk image"),
        "disk image",
        "img dd raw ad1 aff ufd mdf mdx mds nrg cdi gho tib",
    ),
    # Decoding these would run what they hold, through Ghostscript or Windows.
    FileKind("PostScript", "drawing", Use.NO_PICTURES, (at(0, b"%!PS", b"\xc5\xd0\xd3\xc6"),)),
    FileKind("WMF", "drawing", Use.NO_PICTURES, (at(0, b"\xd7\xcd\xc6\x9a"),)),
    FileKind("EMF", "drawing", Use.NO_PICTURES, (at(0, b"\1\0\0\0"), at(40, b" EMF"))),
    FileKind("AppleDouble", "metadata", Use.NO_PICTURES, (at(0, b"\0\5\x16\7"),)),
    *OTHERS,
)


def _table(chosen: Callable[[FileKind], bool]) -> KindTable:
    return KindTable(tuple(kind for kind in KINDS if chosen(kind)))


ALL = _table(lambda _: True)
PICTURES = _table(lambda kind: kind.use is Use.DECODED)
CONTAINERS = _table(lambda kind: kind.layer is not None or kind.use is Use.UNREAD)
"""Kinds that hold files, entered or not read."""
DRAWINGS = _table(lambda kind: kind.family == "drawing")
"""Programs that draw a picture."""
ATTACHED = _table(
    lambda kind: (
        kind.use is Use.DECODED
        or (
            kind.family in ("archive", "compressed file", "document", "database", "video")
            and (kind.use is not Use.SEARCHED)
        )
    )
)
"""Kinds that are looked for after the end of an image and among the attachments of a document."""
VIRTUAL_DISKS = _table(
    lambda kind: kind.family == "disk image" and kind.use is Use.ENTERED and kind.name != "E01"
)
COMPRESSED = _table(lambda kind: kind.family == "compressed file" and kind.use is Use.ENTERED)
VOLUMES = _table(lambda kind: kind.family in ("file system", "partition table"))
GPT = _table(lambda kind: kind.name.startswith("GPT"))
PARTITION_TABLES = _table(lambda kind: kind.family == "partition table")
OTHER_VOLUMES = tuple(kind for kind in VOLUMES.rows if kind.remedy)
"""Kinds of volumes that TSK does not read: other readers do, or none."""

CONTAINER_LAYERS: frozenset[str] = frozenset(kind.layer for kind in KINDS if kind.layer is not None)
IMAGE_EXTENSIONS = frozenset(extension for kind in PICTURES.rows for extension in kind.extensions)
BY_EXTENSION = {
    extension: kind
    for kind in KINDS
    if kind.can_hold_pictures or kind.layer is not None
    for extension in kind.extensions
}
"""Kinds that may hold pictures, for files whose bytes are of no known kind."""
BY_NAME = {kind.name: kind for kind in reversed(KINDS)}
"""The first row of each name; the case records the names."""


def _row(name: str) -> FileKind:
    (kind,) = (kind for kind in KINDS if kind.name == name)
    return kind


ZIP = _row("ZIP")
TAR = _row("TAR")
CPIO = _row("cpio")
AFF4 = _row("AFF4")
SEVEN_ZIP = _row("7z")
RAR = _row("RAR")
E01 = _row("E01")
VMDK = _row("VMDK")
VMDK_DESCRIPTOR = _row(msg("VMDK descriptor"))
_DMG = _row("DMG")
ANDROID_BACKUP = _row(msg("Android backup"))
IOS_BACKUP = _row(msg("iTunes or Finder backup"))
EXFAT = _row("exFAT")
XFS, APFS, LUKS = _row("XFS"), _row("APFS"), _row("LUKS")
BITLOCKER = (_row("BitLocker"), _row("BitLocker To Go"))
CORE_STORAGE = _row(msg("Core Storage (FileVault or a Fusion Drive)"))
EXT = _row(msg("ext2, ext3 or ext4"))
OFFICE_DOCUMENT = _row(msg("Office document or other compound file"))
APPLE_DOUBLE = _row("AppleDouble")
LATE_PDF = next(kind for kind in KINDS if kind.check is headers.is_late_pdf)

END = 512
"""Last bytes of a file that are enough for ``by_end``."""


def by_end(name: str, kind: FileKind | None, read_end: Callable[[], bytes]) -> FileKind | None:
    """Return the kind of a file that is known by its last ``END`` bytes, else ``kind``, which its
    first bytes say. They are read only if they may say more.

    A DMG may begin with a compressed block, and one that is cut off has lost its end.
    """
    is_named = name.lower().endswith(_DMG.extensions)
    is_compressed = kind is not None and kind.family == "compressed file"
    if is_named and is_compressed:
        return _DMG
    if (is_named or is_compressed) and read_end().startswith(b"koly"):
        return _DMG
    return kind


def kind_of(head: bytes, name: str) -> FileKind | None:
    """Return the kind of a file by its first bytes; None if they are of no known kind.

    A file of no known kind that is named .zip may end as a ZIP: the last piece of a split one, or
    one with other bytes before it.
    """
    kind = ALL.identify(head)
    return ZIP if kind is None and name.lower().endswith(".zip") else kind
