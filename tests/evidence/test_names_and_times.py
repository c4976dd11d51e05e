"""Names and times of files are those that the source states, in any time zone of this machine."""

import io
import lzma
import struct
import sys
import tarfile
import time
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mayak.evidence import open_source
from mayak.types import EvidenceEntry, FileTimes
from mayak_synthetic.exfat import volume

IMAGES = Path(__file__).parent / "images"
ZONES = ("UTC", "Asia/Seoul", "America/New_York")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs tzset")


@pytest.fixture(params=ZONES)
def zone(request, monkeypatch):
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def unpacked(path, name, change=lambda data: None):
    data = bytearray(lzma.decompress((IMAGES / f"{name}.xz").read_bytes()))
    change(data)
    (path / name).write_bytes(data)
    return path / name


def times(path):
    with open_source(path) as source:
        found = [entry for entry in source.items() if isinstance(entry, EvidenceEntry)]
    return {entry.path.name: entry.times for entry in found}


def dos(year, month, day, hour, minute, second=0):
    date = (year - 1980) << 9 | month << 5 | day
    return hour << 11 | minute << 5 | second // 2, date


# ---------------------------------------------------------------------- FAT and exFAT

# In New York the first of these does not exist, and the second is there twice.
CLOCKS = [(2026, 3, 8, 2, 30), (2026, 11, 1, 1, 30), (2026, 6, 1, 12, 0), (1980, 1, 1, 0, 0)]


@pytest.mark.parametrize("clock", CLOCKS)
def test_times_of_fat_are_its_clock_also_where_this_machine_has_no_such_hour(tmp_path, zone, clock):
    def change(data):
        at = data.index(b"100     JPG")
        struct.pack_into("<BHH", data, at + 13, 150, *dos(*clock, 4))
        struct.pack_into("<HHH", data, at + 18, dos(*clock)[1], 0, *dos(*clock, 6)[:1])
        struct.pack_into("<H", data, at + 24, dos(*clock)[1])

    found = times(unpacked(tmp_path, "fat.dd", change))["DCIM/100.jpg"]
    at = datetime(*clock, tzinfo=UTC)
    assert found == FileTimes(
        modified=at + timedelta(seconds=6),
        created=at + timedelta(seconds=5.5),  # 4 s and 150 hundredths
        accessed=at.replace(hour=0, minute=0),
        zone_known=False,
    )


def test_an_impossible_date_of_fat_is_none(tmp_path, zone):
    def change(data):
        at = data.index(b"100     JPG")
        struct.pack_into("<HH", data, at + 22, 0, 0)

    found = times(unpacked(tmp_path, "fat.dd", change))["DCIM/100.jpg"]
    assert found.modified is None and found.created is not None


def exfat(path, stamp, *offsets):
    """A volume with one file, whose times have this clock and these offset bytes."""
    data = bytearray(volume({"a.jpg": b"\xff\xd8 picture"}, set()))
    clock, date = dos(*stamp)
    at = next(
        at
        for at in range(0, len(data), 32)
        if data[at] == 0x85 and data[at + 32] == 0xC0 and data[at + 4] == 0x20
    )
    struct.pack_into("<6H", data, at + 8, *[clock, date] * 3)
    data[at + 22 : at + 25] = bytes(offsets)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("offset", "hours"),
    [(0x80 | 36, 9), (0x80 | (-20 & 0x7F), -5), (0x80, 0), (0x80 | 23, 5.75)],
)
def test_times_of_exfat_have_the_offset_that_they_state(tmp_path, zone, offset, hours):
    clock = (2026, 3, 8, 2, 30)
    found = times(exfat(tmp_path / "usb.dd", clock, offset, offset, offset))["a.jpg"]
    at = datetime(*clock, tzinfo=UTC) - timedelta(hours=hours)
    assert found == FileTimes(at, at, at)


@pytest.mark.parametrize("offsets", [(0, 0, 0), (36, 36, 36), (0x80 | 36, 0x80 | 36, 0)])
def test_times_of_exfat_without_an_offset_each_are_of_an_unknown_zone(tmp_path, zone, offsets):
    clock = (2026, 11, 1, 1, 30)
    found = times(exfat(tmp_path / "usb.dd", clock, *offsets))["a.jpg"]
    at = datetime(*clock, tzinfo=UTC)
    assert found == FileTimes(at, at, at, zone_known=False)


def test_deleted_files_of_fat_and_exfat_have_their_times(tmp_path, zone):
    gone = times(unpacked(tmp_path, "fat.dd"))["DCIM/_one.jpg"]
    assert gone.modified is not None and not gone.zone_known
    exfat_gone = times(unpacked(tmp_path, "exfat.dd"))["DCIM/gone.jpg"]
    assert exfat_gone.modified == datetime(2026, 3, 1, tzinfo=UTC) and exfat_gone.zone_known


# ---------------------------------------------------------------------- ISO 9660, HFS+


@pytest.mark.parametrize("quarters", [0, 36, -20])
def test_times_of_iso_9660_have_the_offset_that_they_state(tmp_path, zone, quarters):
    stamp = struct.pack("<6Bb", 126, 3, 8, 2, 30, 0, quarters)

    def change(data):
        at = 0
        while (at := data.find("100.jpg".encode("utf-16-be"), at + 1)) > 0:
            data[at - 33 + 18 : at - 33 + 25] = stamp

    found = times(unpacked(tmp_path, "disc.iso", change))["DCIM/100.jpg"]
    expected = datetime(2026, 3, 8, 2, 30, tzinfo=UTC) - timedelta(minutes=15 * quarters)
    assert found == FileTimes(expected)


def test_names_and_times_of_rock_ridge_are_read(tmp_path, zone):
    found = times(unpacked(tmp_path, "rockridge.iso"))
    assert set(found) == {"DCIM/사진.jpg", "DCIM/100.jpg", "긴 이름 " * 12 + ".jpg"}
    for each in found.values():
        # As make_fixtures.py has set them; the disc states 20:00 and 21:00, +09:00.
        assert each.modified == datetime(2026, 3, 1, 11, tzinfo=UTC)
        assert each.accessed == datetime(2026, 3, 1, 12, tzinfo=UTC)
        assert each.zone_known


@pytest.mark.parametrize("name", [b"../100.jpg", b"..", b"a\0b.jpgxxx", b""])
def test_a_name_of_rock_ridge_that_no_file_may_have_is_not_used(tmp_path, name):
    def change(data):
        at = data.index(b"NM\x0c\1\x00100.jpg")
        data[at + 2] = 5 + len(name)
        rest = bytes(data[at + 12 : at + 12 + 60])
        data[at + 5 : at + 5 + len(name) + len(rest)] = name + rest

    found = times(unpacked(tmp_path, "rockridge.iso", change))
    assert "DCIM/100.JPG" in found and len(found) == 3


def test_times_of_hfs_plus_are_utc(tmp_path, zone):
    found = times(unpacked(tmp_path, "hfsplus.dd"))["DCIM/100.jpg"]
    assert (found.modified, found.zone_known) == (datetime(2026, 3, 1, tzinfo=UTC), True)


# ---------------------------------------------------------------------- archives

CLOCK = datetime(2026, 3, 8, 2, 30, tzinfo=UTC)
MODIFIED = datetime(2026, 3, 7, 17, 30, 1, tzinfo=UTC)
ACCESSED = datetime(2026, 3, 7, 18, 0, tzinfo=UTC)
CREATED = datetime(2026, 3, 1, 0, 0, 0, 250_000, tzinfo=UTC)


def unix(at):
    return struct.pack("<l", int(at.timestamp()))


def filetime(at):
    since = at - datetime(1601, 1, 1, tzinfo=UTC)
    return struct.pack("<Q", since // timedelta(microseconds=1) * 10)


def field(kind, body):
    return struct.pack("<HH", kind, len(body)) + body


EXTENDED = field(0x5455, b"\x03" + unix(MODIFIED))
NTFS = field(
    0x000A,
    bytes(4) + b"\1\0\x18\0" + filetime(MODIFIED) + filetime(ACCESSED) + filetime(CREATED),
)
OLD_UNIX = field(0x5855, unix(ACCESSED) + unix(MODIFIED))


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (b"", FileTimes(CLOCK, zone_known=False)),
        (EXTENDED, FileTimes(MODIFIED)),
        (NTFS, FileTimes(MODIFIED, CREATED, ACCESSED)),
        (OLD_UNIX, FileTimes(MODIFIED, None, ACCESSED)),
        (EXTENDED + NTFS, FileTimes(MODIFIED, CREATED, ACCESSED)),
        # Too short to be what they say that they are.
        (field(0x5455, b"\x01\0"), FileTimes(CLOCK, zone_known=False)),
        (field(0x5455, b""), FileTimes(CLOCK, zone_known=False)),
        (NTFS[:20], FileTimes(CLOCK, zone_known=False)),
        (field(0x5855, b"\0"), FileTimes(CLOCK, zone_known=False)),
    ],
)
def test_times_of_zip_are_those_of_its_extra_fields(tmp_path, zone, extra, expected):
    info = zipfile.ZipInfo("a.jpg", CLOCK.timetuple()[:6])
    info.extra = extra
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, b"\xff\xd8 picture")
    assert times(tmp_path / "a.zip")["a.jpg"] == expected


def test_times_of_tar_are_those_of_its_pax_records(tmp_path, zone):
    info = tarfile.TarInfo("a.jpg")
    info.mtime = MODIFIED.timestamp() + 0.5
    info.pax_headers = {
        "atime": str(ACCESSED.timestamp()),
        "LIBARCHIVE.creationtime": str(CREATED.timestamp()),
        "ctime": "nan",
    }
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO())
    expected = FileTimes(MODIFIED + timedelta(seconds=0.5), CREATED, ACCESSED)
    assert times(tmp_path / "a.tar") == {"a.jpg": expected}


@pytest.mark.parametrize("value", ["nan", "inf", "-1e300", "x", "1e400"])
def test_a_time_of_a_tar_that_is_none_costs_no_member(tmp_path, value):
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("a.jpg", "b.jpg"):
            info = tarfile.TarInfo(name)
            info.pax_headers = {"mtime": value}
            archive.addfile(info, io.BytesIO())
    assert list(times(tmp_path / "a.tar")) == ["a.jpg", "b.jpg"]
