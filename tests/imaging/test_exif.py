from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta, timezone

import pytest
from PIL import ExifTags, Image

from mayak.imaging.exif import Location, Metadata, metadata

SEOUL = timezone(timedelta(hours=9))


def reopened(base=None, camera=None, satellite=None, raw=None):
    exif = Image.Exif()
    for tag, value in (base or {}).items():
        exif[tag] = value
    exif.get_ifd(ExifTags.IFD.Exif).update(camera or {})
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(satellite or {})
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", exif=raw if raw is not None else exif)
    return Image.open(io.BytesIO(buffer.getvalue()))


def gps(latitude, longitude, north="N", east="E"):
    return {
        ExifTags.GPS.GPSLatitudeRef: north,
        ExifTags.GPS.GPSLatitude: latitude,
        ExifTags.GPS.GPSLongitudeRef: east,
        ExifTags.GPS.GPSLongitude: longitude,
    }


def test_camera_and_times_are_read():
    found = metadata(
        reopened(
            {ExifTags.Base.Make: "삼성\0\0".encode(), ExifTags.Base.Model: "SM-S921N  "},
            {
                ExifTags.Base.DateTimeOriginal: "2026:03:04 05:06:07",
                ExifTags.Base.OffsetTimeOriginal: "+09:00",
                ExifTags.Base.DateTimeDigitized: "2026:03:04 05:06:08",
            },
        )
    )

    assert found.taken == datetime(2026, 3, 4, 5, 6, 7, tzinfo=SEOUL)
    assert found.digitised == datetime(2026, 3, 4, 5, 6, 8)
    assert found.digitised.tzinfo is None, "no zone is stated, so none is added"
    assert (found.make, found.model) == ("삼성", "SM-S921N")
    assert found.location is None


def test_a_position_south_and_west_and_below_the_sea():
    fields = gps((33.0, 30.0, 36.0), (70.0, 15.0, 0.0), "S", "W") | {
        ExifTags.GPS.GPSAltitudeRef: b"\x01",
        ExifTags.GPS.GPSAltitude: 12.5,
        ExifTags.GPS.GPSDateStamp: "2026:01:02",
        ExifTags.GPS.GPSTimeStamp: (3.0, 4.0, 5.0),
    }
    found = metadata(reopened(satellite=fields))

    assert found.location == Location(pytest.approx(-33.51), pytest.approx(-70.25), -12.5)
    assert found.fixed == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "fields",
    [
        gps((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
        gps((91.0, 0.0, 0.0), (127.0, 0.0, 0.0)),
        gps((37.0, 0.0, 0.0), (127.0, 0.0, 0.0), north="X"),
        {ExifTags.GPS.GPSLatitude: (37.0, 30.0, 0.0)},
    ],
    ids=["no fix", "beyond the pole", "no such side", "half of it"],
)
def test_a_position_that_makes_no_sense_is_none(fields):
    assert metadata(reopened(satellite=fields)).location is None


def test_nonsense_in_the_fields_is_none():
    found = metadata(
        reopened(
            {ExifTags.Base.Software: "x" * 5000},
            {
                ExifTags.Base.DateTimeOriginal: "0000:00:00 00:00:00",
                ExifTags.Base.DateTimeDigitized: "yesterday",
                ExifTags.Base.OffsetTimeOriginal: "Seoul",
            },
        )
    )

    assert (found.taken, found.digitised) == (None, None)
    assert found.software is not None
    assert len(found.software) == 200


@pytest.mark.parametrize("raw", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_exif_is_no_metadata(raw):
    assert metadata(reopened(raw=raw)) == Metadata()


def test_an_image_without_exif_has_none():
    assert metadata(Image.new("RGB", (4, 4))) == Metadata()
