"""Kinds of files that are named and not opened, those that hold no pictures, and texts.

Marks are those of the formats' specifications and of the list of ``file`` (magic(5)).
"""

from __future__ import annotations

from collections.abc import Callable

from mayak.i18n import msg
from mayak.signatures import headers, texts
from mayak.signatures.kind import (
    CONVERT,
    DECRYPT,
    MOUNT,
    UNPACK,
    Family,
    FileKind,
    Mark,
    Rows,
    Use,
    at,
    dotted,
    never,
)

EXPORT = msg(
    "have a program for such files export the pictures from a copy of it, and give them as a "
    "source of their own"
)
WATCH = msg(
    "watch it on a copy; frames that another program exports can be given as a source of their own"
)

_REMEDIES: dict[Family, str] = {
    "archive": UNPACK,
    "compressed file": UNPACK,
    "disk image": CONVERT,
    "file system": MOUNT,
    "video": WATCH,
    "encrypted file": DECRYPT,
}


def _kind(
    name: str,
    family: Family,
    use: Use,
    *marks: Mark,
    check: Callable[[bytes], object] | None = None,
    ext: str = "",
) -> FileKind:
    return FileKind(
        name,
        family,
        use,
        marks,
        check if marks or check else never,
        dotted(ext),
        layer="image" if family == "file system" else None,
        remedy=_REMEDIES.get(family, EXPORT),
        is_encrypted=family == "encrypted file",
    )


def _container(name: str, family: Family, *marks: Mark) -> FileKind:
    return _kind(name, family, Use.UNREAD, *marks)


def _encrypted(name: str, *marks: Mark, ext: str = "") -> FileKind:
    return _kind(name, "encrypted file", Use.UNREAD, *marks, ext=ext)


def _holder(
    name: str,
    family: Family,
    *marks: Mark,
    check: Callable[[bytes], object] | None = None,
    ext: str = "",
) -> FileKind:
    """A kind that can hold pictures, which nothing looks for."""
    return _kind(name, family, Use.UNEXAMINED, *marks, check=check, ext=ext)


def _bare(
    name: str, family: Family, *marks: Mark, check: Callable[[bytes], object] | None = None
) -> FileKind:
    """A kind that holds no pictures."""
    return _kind(name, family, Use.NO_PICTURES, *marks, check=check)


def _searched(name: str, *marks: Mark, check: Callable[[bytes], object] | None = None) -> FileKind:
    return _kind(name, "text", Use.SEARCHED, *marks, check=check)


_CONTAINERS: Rows = (
    _container("Lx01", "disk image", at(0, b"LEF2\x0d\x0a\x81\x00")),
    _container("AD1", "disk image", at(0, b"ADSEGMENTEDFILE\0", b"ADLOGICALIMAGE\0\0")),
    _container("AFF", "disk image", at(0, b"AFF10\r\n\0")),
    # It is a ZIP; its reader finds that.
    _kind("AFF4", "disk image", Use.UNREAD, ext="aff4"),
    _container("MDX", "disk image", at(0, b"MEDIA DESCRIPTOR")),
    _container(msg("Windows image (WIM)"), "disk image", at(0, b"MSWIM\0\0\0")),
    _container(msg("Acronis image"), "disk image", at(0, b"\xce\x24\xb9\xa2")),
    _container("SquashFS", "file system", at(0, b"hsqs", b"sqsh")),
    _container("CramFS", "file system", at(16, b"Compressed ROMFS")),
    _container("UBI", "file system", at(0, b"UBI#")),
    _container("UBIFS", "file system", at(0, b"\x31\x18\x10\x06")),
    _container("ReFS", "file system", at(3, b"ReFS\0\0\0\0")),
    _container("JFS", "file system", at(0x8000, b"JFS1")),
    _container("ReiserFS", "file system", at(0x10034, b"ReIsEr2Fs", b"ReIsEr3Fs")),
    _container("UDF", "file system", at(0x8001, b"BEA01")),
    _container("Linux RAID", "file system", at(4096, b"\xfc\x4e\x2b\xa9")),
    _container("Cabinet", "archive", at(0, b"MSCF", b"ISc(")),
    _container("EGG", "archive", at(0, b"EGGA")),
    _container("ALZ", "archive", at(0, b"ALZ\x01")),
    _container("LHA", "archive", at(2, b"-lh"), at(6, b"-")),
    _container("ACE", "archive", at(7, b"**ACE**")),
    _container(msg("Debian package"), "archive", at(0, b"!<arch>\ndebian-binary")),
    _container(msg("RPM package"), "archive", at(0, b"\xed\xab\xee\xdb")),
    _container("XAR", "archive", at(0, b"xar!")),
    _container("lzip", "compressed file", at(0, b"LZIP")),
    _container("compress (.Z)", "compressed file", at(0, b"\x1f\x9d\x90")),
    _encrypted(msg("encrypted DMG"), at(0, b"encrcdsa")),
    _encrypted(msg("encrypted with OpenSSL"), at(0, b"Salted__")),
    _encrypted(msg("encrypted with PGP"), at(0, b"-----BEGIN PGP MESSAGE-----")),
    _encrypted(msg("encrypted with age"), at(0, b"age-encryption.org/v1")),
    _encrypted(msg("KeePass database"), at(0, b"\x03\xd9\xa2\x9a")),
    _encrypted(
        msg("encrypted backup of WhatsApp"), ext="crypt crypt7 crypt8 crypt12 crypt14 crypt15"
    ),
)

_HOLDERS: Rows = (
    # M4A before the videos of the same container.
    _bare("M4A", "audio", at(4, b"ftyp"), at(8, b"M4A ", b"M4B ", b"F4A ")),
    _holder(msg("MP4 or QuickTime"), "video", at(4, b"ftyp"), ext="mp4 m4v mov 3gp 3g2"),
    _holder(msg("MP4 or QuickTime"), "video", at(4, b"moov", b"mdat")),
    _holder("AVI", "video", at(0, b"RIFF"), at(8, b"AVI "), ext="avi"),
    _holder(msg("Matroska or WebM"), "video", at(0, b"\x1a\x45\xdf\xa3"), ext="mkv webm"),
    _holder(msg("Flash video"), "video", at(0, b"FLV\x01"), ext="flv"),
    _holder(
        "Windows Media",
        "video",
        at(0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
        ext="wmv asf",
    ),
    _holder("MPEG", "video", at(0, b"\0\0\1\xba", b"\0\0\1\xb3"), ext="mpg mpeg vob"),
    _holder(msg("MPEG transport stream"), "video", at(0, b"G"), at(188, b"G"), at(376, b"G")),
    _holder(
        msg("MPEG transport stream"),
        "video",
        at(4, b"G"),
        at(196, b"G"),
        at(388, b"G"),
        ext="m2ts mts",
    ),
    _holder(msg("H.264 stream"), "video", at(0, b"\0\0\0\1"), at(4, b"\x67", b"\x27", b"\x40")),
    _holder("RealMedia", "video", at(0, b".RMF"), ext="rm rmvb"),
    _holder(
        msg("Ogg video"), "video", at(0, b"OggS"), at(28, b"\x80theora", b"\x01video\0"), ext="ogv"
    ),
    _holder(
        msg("Office document or other compound file"),
        "document",
        at(0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        ext="doc xls ppt hwp msg",
    ),
    _holder("RTF", "document", at(0, b"{\\rtf"), ext="rtf"),
    _holder("HWP 3", "document", at(0, b"HWP Document File")),
    _holder(
        "OneNote",
        "document",
        at(0, b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3"),
        ext="one",
    ),
    _holder("DjVu", "document", at(0, b"AT&TFORM"), ext="djvu"),
    _holder(msg("Windows help (CHM)"), "document", at(0, b"ITSF"), ext="chm"),
    _holder(msg("Kindle book"), "document", at(60, b"BOOKMOBI"), ext="mobi azw azw3"),
    _holder(msg("other document"), "document", ext="pages numbers"),
    _holder(
        "SQLite",
        "database",
        at(0, b"SQLite format 3\0"),
        ext="db db3 sqlite sqlite3 sqlitedb storedata",
    ),
    _holder(
        msg("SQLite write-ahead log"),
        "database",
        at(0, b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"),
        ext="db-wal sqlite-wal sqlitedb-wal storedata-wal",
    ),
    _holder(
        msg("SQLite rollback journal"),
        "database",
        at(0, b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"),
        ext="db-journal sqlite-journal",
    ),
    _holder("Realm", "database", at(16, b"T-DB"), ext="realm"),
    _holder("LMDB", "database", at(16, b"\xde\xc0\xef\xbe")),
    _holder("LevelDB", "database", ext="ldb"),
    _holder(
        "Berkeley DB",
        "database",
        at(12, b"\x62\x31\x05\0", b"\x61\x15\x06\0", b"\0\x05\x31\x62", b"\0\x06\x15\x61"),
    ),
    _holder("ESE (Windows)", "database", at(4, b"\xef\xcd\xab\x89"), ext="edb"),
    _holder("Access", "database", at(0, b"\0\1\0\0"), at(4, b"Standard"), ext="mdb accdb"),
    _holder(msg("Outlook data file"), "mail", at(0, b"!BDN"), ext="pst ost"),
    _holder(msg("Outlook Express mailbox"), "mail", at(0, b"\xcf\xad\x12\xfe")),
    _holder("TNEF", "mail", at(0, b"\x78\x9f\x3e\x22")),
    _holder(
        msg("mail or contacts"), "mail", check=texts.is_mail, ext="eml emlx emlxpart mbox mht mhtml"
    ),
    _holder(
        "KTX",
        "cache",
        at(0, b"\xabKTX 11\xbb", b"\xabKTX 20\xbb", b"AAPL\r\n\x1a\n"),
        ext="ktx atx",
    ),
    _holder(msg("iOS thumbnails (ithmb)"), "cache", ext="ithmb cpbitmap"),
    _holder(msg("Apple asset catalogue"), "cache", at(0, b"BOMStore"), ext="car"),
    _holder(msg("thumbcache (Windows)"), "cache", at(0, b"CMMM")),
    _holder(msg("Android thumbnails"), "cache", ext="thumbdata imgcache"),
    _holder(
        msg("Chrome cache"),
        "cache",
        at(0, b"\xc3\xca\x04\xc1", b"\x30\x5c\x72\xa7"),
    ),
    _holder(
        msg("network capture"),
        "capture",
        at(0, b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x0a\x0d\x0d\x0a"),
    ),
    _holder(msg("swap space"), "cache", at(4086, b"SWAPSPACE2")),
    _holder(msg("hibernation file (Windows)"), "cache", at(0, b"HIBR", b"hibr")),
    _holder("HDF5", "database", at(0, b"\x89HDF\r\n\x1a\n")),
)

_WITHOUT_PICTURES: Rows = (
    _bare("MP3", "audio", at(0, b"ID3")),
    _bare("MP3", "audio", at(0, b"\xff"), check=headers.is_mpeg_audio),
    _bare("AAC", "audio", at(0, b"\xff\xf1", b"\xff\xf9")),
    _bare("Ogg", "audio", at(0, b"OggS")),
    _bare("FLAC", "audio", at(0, b"fLaC")),
    _bare("WAV", "audio", at(0, b"RIFF"), at(8, b"WAVE")),
    _bare("AIFF", "audio", at(0, b"FORM"), at(8, b"AIFF", b"AIFC")),
    _bare("MIDI", "audio", at(0, b"MThd")),
    _bare("AMR", "audio", at(0, b"#!AMR")),
    _bare("SILK", "audio", at(0, b"#!SILK")),
    _bare("SILK", "audio", at(1, b"#!SILK")),
    _bare("Core Audio", "audio", at(0, b"caff\0\1")),
    _bare("Monkey's Audio", "audio", at(0, b"MAC \x96\x0f", b"MAC \x90\x0f")),
    _bare("TrueType", "font", at(0, b"\0\1\0\0", b"true", b"ttcf"), check=headers.is_truetype),
    _bare("OpenType", "font", at(0, b"OTTO")),
    _bare("WOFF", "font", at(0, b"wOFF", b"wOF2")),
    _bare(msg("PostScript font"), "font", at(0, b"\x80\x01"), at(6, b"%!")),
    _bare("ELF", "program", at(0, b"\x7fELF")),
    _bare(msg("Windows program"), "program", at(0, b"MZ"), check=texts.is_binary),
    _bare(
        "Mach-O",
        "program",
        at(
            0,
            *(b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"),
        ),
    ),
    _bare(msg("Mach-O or Java class"), "program", at(0, b"\xca\xfe\xba\xbe")),
    _bare("DEX", "program", at(0, b"dex\n", b"dey\n", b"vdex", b"cdex")),
    _bare("ART", "program", at(0, b"art\n")),
    _bare("WebAssembly", "program", at(0, b"\0asm")),
    _bare(msg("object archive"), "program", at(0, b"!<arch>\n")),
    _bare(msg("Windows shortcut"), "metadata", at(0, b"L\0\0\0\1\x14\2\0")),
    _bare(msg("Android resources"), "metadata", at(0, b"\2\0\x0c\0", b"\3\0\x08\0")),
    _bare("nib", "metadata", at(0, b"NIBArchive")),
    _bare(msg("message catalogue"), "metadata", at(0, b"\xde\x12\x04\x95", b"\x95\x04\x12\xde")),
    _bare(msg("time zone"), "metadata", at(0, b"TZif")),
    _bare(msg("SQLite shared memory"), "metadata", at(0, b"\x18\xe2\x2d\0")),
    _bare(msg("Finder settings"), "metadata", at(0, b"\0\0\0\1Bud1")),
    _bare(msg("cookies"), "metadata", at(0, b"cook\0\0")),
    _bare(msg("Apple log"), "metadata", at(0, b"\0\x10\0\0\x11\0\0\0", b"ASL DB\0\0")),
    _bare(msg("journal of systemd"), "metadata", at(0, b"LPKSHHRH")),
    _bare(msg("Windows registry"), "metadata", at(0, b"regf")),
    _bare(msg("Windows event log"), "metadata", at(0, b"ElfFile\0")),
    _bare(msg("Windows prefetch"), "metadata", at(0, b"MAM\x04")),
    _bare(msg("Windows prefetch"), "metadata", at(4, b"SCCA")),
    _bare("FIT", "metadata", at(8, b".FIT")),
    _bare(msg("Java keystore"), "metadata", at(0, b"\xfe\xed\xfe\xed")),
    _bare("TensorFlow Lite", "metadata", at(4, b"TFL3")),
    _bare("NumPy", "metadata", at(0, b"\x93NUMPY")),
)

_BLANKS = (b"\t", b"\n", b"\r", b" ", b"\xef")
"""A mark of UTF-8 begins with the last one."""
_TAGS = at(0, b"<", *_BLANKS)
_TEXTS: Rows = (
    _searched(msg("binary property list"), at(0, b"bplist")),
    _searched("HTML", _TAGS, check=texts.is_html),
    _searched("SVG", _TAGS, check=texts.is_svg),
    _searched("XML", _TAGS, check=texts.is_xml),
    _searched("JSON", at(0, b"[", b"{", *_BLANKS), check=texts.is_json),
    _bare(msg("text"), "text", check=texts.is_text),
)

OTHERS: Rows = (*_CONTAINERS, *_HOLDERS, *_WITHOUT_PICTURES, *_TEXTS)
