"""A UFDR's files have the paths on the phone that its report states; a bad report loses none."""

import io
import zipfile
from datetime import UTC, datetime

import pytest

from mayak.evidence import Limits, open_in_process, open_source
from mayak.evidence.containers.ufdr import ReportError, reported_files
from mayak.types import EvidenceEntry, EvidencePath, Failure
from phone_backups import fixed

NAMESPACE = "http://pa.cellebrite.com/report/2.0"
FILES = {
    "files/Image/IMG_1.jpg": fixed("one", 4000),
    "files/Image/사진.jpg": fixed("two", 4001),
    "files/Image/IMG_1(1).jpg": fixed("three", 99),
    "files/Uncategorized/x": fixed("four", 7),
}
DCIM = "Userdata/media/0/DCIM"
NAMED = {
    f"{DCIM}/IMG_1.jpg": "files/Image/IMG_1.jpg",
    f"{DCIM}/사진.jpg": "files/Image/사진.jpg",
    "Card & Co/DCIM/IMG_1.jpg": "files/Image/IMG_1(1).jpg",
}


def file(fs, path, local, deleted="Intact", times=()):
    stamps = "".join(f'<timestamp name="{name}">{time}</timestamp>' for name, time in times)
    item = f"<![CDATA[{local}]]>" if local else ""
    return (
        f'<file fs="{fs}" fsid="1" path="{path}" size="9" id="2" extractionId="0" '
        f'deleted="{deleted}" embedded="false"><accessInfo>{stamps}</accessInfo>'
        f'<metadata section="File"><item name="Local Path">{item}</item>'
        '<item name="MD5">0</item></metadata></file>'
    )


LISTED = (
    file(
        "Userdata",
        "/media/0/DCIM/IMG_1.jpg",
        "files\\Image\\IMG_1.jpg",
        times=[
            ("ModifyTime", "2026-01-02T12:00:00.000+09:00"),
            ("CreationTime", "2026-01-01T00:00:00+00:00"),
            ("AccessTime", "yesterday"),
            ("ChangeTime", "2026-01-01T00:00:00+00:00"),
        ],
    )
    + file("Userdata", "/media/0/DCIM/사진.jpg", "files/Image/사진.jpg", deleted="Deleted")
    + file("Card &amp; Co", "/DCIM/IMG_1.jpg", "files\\Image\\IMG_1(1).jpg", deleted="Unknown")
    + file("Userdata", "/data/not exported", "")
)


def report(files, before="", after="<decodedData><broken"):
    return (
        f'<?xml version="1.0" encoding="utf-8"?>{before}<project name="p" xmlns="{NAMESPACE}">'
        f"<images><image/></images><taggedFiles>{files}</taggedFiles>{after}"
    ).encode()


def written(path, xml, files=FILES):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        if xml is not None:
            archive.writestr("report.xml", xml)
    return path


def listed(path, limits=None):
    """{path in the report: content}, and the failures"""
    found, failures = {}, []
    with open_source(path, limits) as source:
        for item in source.items():
            if isinstance(item, Failure):
                failures.append((item.path, str(item.error), item.message))
            else:
                with item.open() as stream:
                    assert item.path.name not in found
                    found[item.path.name] = stream.read()
    return found, failures


def test_files_have_the_paths_of_the_report_and_others_their_own(tmp_path):
    xml = report(LISTED)
    found, failures = listed(written(tmp_path / "a.ufdr", xml))
    expected = {name: FILES[local] for name, local in NAMED.items()}
    expected |= {"files/Uncategorized/x": FILES["files/Uncategorized/x"], "report.xml": xml}
    assert found == expected
    assert failures == []


def test_deleted_files_and_times_are_those_of_the_report(tmp_path):
    with open_source(written(tmp_path / "a.ufdr", report(LISTED))) as source:
        items = {item.path.name: item for item in source.items()}
    assert [name for name, item in items.items() if item.is_deleted] == [f"{DCIM}/사진.jpg"]
    times = items[f"{DCIM}/IMG_1.jpg"].times
    assert times.modified == datetime(2026, 1, 2, 3, tzinfo=UTC)
    assert times.created == datetime(2026, 1, 1, tzinfo=UTC)
    assert (times.accessed, times.changed, times.zone_known) == (None, None, True)
    # The time in the ZIP is that of the export.
    assert items[f"{DCIM}/사진.jpg"].times.is_empty


def test_the_name_in_the_zip_is_kept_and_finds_the_file_again(tmp_path):
    outer = tmp_path / "folder"
    outer.mkdir()
    for path in (written(tmp_path / "a.ufdr", report(LISTED)), outer):
        if path is outer:
            written(outer / "a.ufdr", report(LISTED))
        with open_source(path) as source:
            paths = [item.path for item in source.items()]
        locals_ = {at.name: at.raw.decode() for at in paths if at.name in NAMED}
        assert locals_ == NAMED
        with open_source(path) as source:
            for at in reversed(paths):
                item = source.find(EvidencePath.from_json(at.to_json()))
                assert item.path == at


def test_a_file_is_found_by_its_name_in_the_zip_as_older_cases_have_it(tmp_path):
    with open_source(written(tmp_path / "a.ufdr", report(LISTED))) as source:
        for local, data in FILES.items():
            with source.find(source.path.child("file", local)).open() as stream:
                assert stream.read() == data
        assert source.find(source.path.child("file", "files/Image/gone.jpg")) is None


def test_what_is_packed_in_a_report_is_read_once_from_its_start(tmp_path):
    """Seeking in a member unpacks it again from its start."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        for number in range(40):
            archive.writestr(f"{number}", bytes(1 << 18))
    files = FILES | {"files/big.zip": inner.getvalue()}
    with open_in_process(written(tmp_path / "a.ufdr", report(LISTED), files)) as walk:
        container = walk._container
        assert not container.random_access
        assert sum(isinstance(item, EvidenceEntry) for item in walk.items()) == len(files) + 41


def test_two_files_of_one_path_are_kept_apart(tmp_path):
    twice = file("U", "/a.jpg", "files/Image/IMG_1.jpg") + file(
        "U", "/a.jpg", "files/Image/사진.jpg"
    )
    with open_source(written(tmp_path / "a.ufdr", report(twice))) as source:
        items = [item for item in source.items() if item.path.name == "U/a.jpg"]
        assert len({item.path.numbered for item in items}) == 2
        assert len({item.path for item in items}) == 2


def test_a_report_that_names_what_is_not_there_is_named(tmp_path):
    xml = report(LISTED + file("U", "/gone.jpg", "files/Image/gone.jpg"))
    found, failures = listed(written(tmp_path / "a.ufdr", xml))
    assert len(found) == 5
    assert failures == [("a.ufdr", "Damaged", "its report names 1 files in it that are not there")]


DTD = '<!DOCTYPE project [<!ENTITY a "aaaaaaaaaa">'
LAUGHS = "".join(
    f'<!ENTITY {n} "{"&" + p + ";" * 1}{("&" + p + ";") * 9}">'
    for p, n in zip("abcdefghi", "bcdefghij", strict=True)
)
HOSTILE = {
    "a billion laughs": report("&j;", f"{DTD}{LAUGHS}]>"),
    "an external entity": report("&x;", '<!DOCTYPE project [<!ENTITY x SYSTEM "/etc/passwd">]>'),
    "an external DTD": report(LISTED, '<!DOCTYPE project SYSTEM "http://localhost/a.dtd">'),
    "cut off": report(LISTED)[:900],
    "not XML after its start": report("<file></item>"),
    "nested too deeply": report("<a>" * 300),
    "a path without end": report(file("U", "/" + "a" * 70_000, "files/Image/IMG_1.jpg")),
    "a name without end": report(file("U", "/a", "b" * 70_000)),
    "a tag without end": report("<file fs='" + fixed("tag", 1 << 20).hex()),
    "not in its encoding": report(LISTED).replace("사진".encode(), b"\xff\xfe"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_broken_or_hostile_report_leaves_the_zip_as_it_is(tmp_path, name):
    found, failures = listed(written(tmp_path / "a.ufdr", HOSTILE[name]))
    assert found == FILES | {"report.xml": HOSTILE[name]}
    ((path, error, message),) = failures
    assert (path, error) == ("a.ufdr", "Damaged")
    assert message.startswith("its report cannot be read, so its files have their names in the ZIP")


def test_a_report_with_a_tag_of_gigabytes_is_given_up_early(tmp_path):
    class Endless(io.RawIOBase):
        given = 0

        def readable(self):
            return True

        def readinto(self, buffer):
            block = b"a" * len(buffer)
            if not self.given:
                block = report("<file path='").rpartition(b"'")[0] + b"'"
            self.given += len(block)
            assert self.given < 8 << 20
            buffer[: len(block)] = block
            return len(block)

    with pytest.raises(ReportError, match="a tag is too long"):
        reported_files(io.BufferedReader(Endless()), 10)


def test_more_files_than_are_allowed_are_refused(tmp_path):
    _, failures = listed(written(tmp_path / "a.ufdr", report(LISTED)), Limits(members=2))
    assert "LimitExceeded" in [error for _, error, _ in failures]


@pytest.mark.parametrize(
    ("name", "xml"),
    [
        ("a.zip", None),
        ("a.ufdr", None),
        ("a.ufdr", b"<testsuite><file/></testsuite>"),
        ("a.ufdr", report(LISTED).replace(NAMESPACE.encode(), b"http://example.org/")),
    ],
)
def test_another_zip_is_just_a_zip(tmp_path, name, xml):
    found, failures = listed(written(tmp_path / name, xml))
    assert found == FILES | ({} if xml is None else {"report.xml": xml})
    assert failures == []


def test_a_report_that_comes_first_is_known_by_any_name(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("report.xml", report(LISTED))
        for name, data in FILES.items():
            archive.writestr(name, data)
    (tmp_path / "renamed.zip").write_bytes(stream.getvalue())
    found, _ = listed(tmp_path / "renamed.zip")
    assert NAMED.keys() <= found.keys()
