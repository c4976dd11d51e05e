"""Hash lists as labs have them."""

import hashlib
import sqlite3
from contextlib import closing

import psutil
import pytest

from mayak.errors import ConfigError
from mayak.hashlists import HashList


def hashes(text):
    data = text.encode()
    return tuple(hashlib.new(kind, data).hexdigest() for kind in ("md5", "sha1", "sha256"))


def written(tmp_path, content, name="list.txt"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "template",
    [
        "{0}\n{1}\n{2}\n",
        "# known\r\n\r\n{0}\r\n{1}\r\n{2}\r\n",
        "\ufeff{0}  사진 1.jpg\n{1} *b.jpg\n{2}",
    ],
)
def test_a_hash_a_line(tmp_path, template):
    (md5, _, _), (_, sha1, _), (_, _, sha256) = map(hashes, "abc")
    known = HashList.open(written(tmp_path, template.format(md5.upper(), sha1, sha256)))
    assert len(known) == 3
    assert [known.match(*hashes(name)) for name in "abcd"] == ["md5", "sha1", "sha256", None]


def test_names_in_cp949_do_not_disturb(tmp_path):
    md5 = hashes("a")[0]
    known = HashList.open(written(tmp_path, f"{md5}  사진.jpg\n".encode("cp949")))
    assert known.match(*hashes("a")) == "md5"


def test_csv_is_read_by_its_strongest_column(tmp_path):
    md5, sha1, _ = hashes("a")
    text = f'"Name","MD5","SHA-1"\n"x, y.jpg","{md5}","{sha1.upper()}"\n'
    known = HashList.open(written(tmp_path, text, "list.csv"))
    assert known.match(*hashes("a")) == "sha1"
    assert known.match(*hashes("b")) is None


def test_values_that_end_in_zeros_are_found(tmp_path):
    values = ["00" * 16, "ab" + "00" * 15, "ff" * 16]
    known = HashList.open(written(tmp_path, "\n".join(values)))
    assert [known.match(value, "0" * 40, "0" * 64) for value in values] == ["md5"] * 3
    assert known.match("ab" * 16, "0" * 40, "0" * 64) is None


def opened():
    """Paths of the files that this process holds open."""
    return {file.path for file in psutil.Process().open_files()}


def test_nsrl_is_looked_up_where_it_lies(tmp_path):
    path = tmp_path / "RDS.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE FILE (sha256 TEXT, sha1 TEXT, md5 TEXT, file_name TEXT)")
    row = [value.upper() for value in reversed(hashes("a"))]
    connection.execute("INSERT INTO FILE VALUES (?, ?, ?, 'a.jpg')", row)
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with HashList.open(path) as known:
        assert (known.match(*hashes("a")), known.match(*hashes("b"))) == ("sha256", None)
        assert str(path) in opened()
    assert str(path) not in opened()
    assert path.read_bytes() == before
    assert known.digest == hashlib.sha256(before).hexdigest()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no hash"),
        ("# nothing\n", "has no hash"),
        ("name,size\nx,1\n", "line 1 is not MD5"),
        ("a" * 32 + "\n" + "g" * 32, "line 2 is not MD5"),
        ("md5\n" + "a" * 31, "line 2"),
    ],
)
def test_what_is_no_list_is_refused_with_its_line(tmp_path, content, message):
    with pytest.raises(ConfigError, match=message) as caught:
        HashList.open(written(tmp_path, content))
    assert "list.txt" in str(caught.value)
    assert "NSRL" in caught.value.remedy


def test_a_database_of_something_else_is_refused(tmp_path):
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE notes (text)")
    connection.commit()
    connection.close()
    with pytest.raises(ConfigError, match="not an RDS 3"):
        HashList.open(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        HashList.open(tmp_path / "missing.txt")


def database(tmp_path, *rows):
    path = tmp_path / "RDS.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE FILE (sha256, sha1, md5, file_name)")
        connection.executemany("INSERT INTO FILE VALUES (?, ?, ?, 'x')", rows)
        connection.commit()
    return path


def strongest_first(text):
    return tuple(reversed(hashes(text)))


def test_a_database_in_lower_case_or_both_is_matched(tmp_path):
    upper = tuple(value.upper() for value in strongest_first("b"))
    with HashList.open(database(tmp_path, strongest_first("a"), upper)) as known:
        assert [known.match(*hashes(name)) for name in "abc"] == ["sha256", "sha256", None]


@pytest.mark.parametrize(
    "value", ["ab" * 15, "xy" * 16, "Ab" * 16, " " + "ab" * 16, bytes(16), 7, "0x" + "ab" * 16]
)
def test_a_database_that_can_never_match_is_refused_by_its_column(tmp_path, value):
    sha256, sha1, _ = strongest_first("a")

    with pytest.raises(ConfigError, match="column md5 of table FILE: row 1 is not MD5"):
        HashList.open(database(tmp_path, (sha256, sha1, value)))


def test_a_database_without_a_hash_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="has no hash"):
        HashList.open(database(tmp_path, ("", None, ""), ("", "", "")))


def test_rows_that_lack_the_strongest_hash_are_found_by_another(tmp_path):
    full, (_, _, md5) = strongest_first("a"), strongest_first("b")
    with HashList.open(database(tmp_path, full, ("", "", md5), ("", "", ""))) as known:
        assert len(known) == 2
        assert [known.match(*hashes(name)) for name in "abc"] == ["sha256", "md5", None]


def test_of_a_database_whose_strongest_hashes_are_complete_no_others_are_asked_for(tmp_path):
    (sha256, sha1, md5), other = strongest_first("a"), strongest_first("b")
    with HashList.open(database(tmp_path, (sha256, sha1, md5))) as known:
        assert known.match(md5, sha1, other[0]) is None  # no file has these three


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf_16_is_refused_in_words(tmp_path, encoding):
    text = ("\ufeff" if encoding == "utf-16-be" else "") + "MD5,Name\n" + "a" * 32 + ",x\n"

    with pytest.raises(ConfigError, match="UTF-16"):
        HashList.open(written(tmp_path, text.encode(encoding)))


def test_a_line_that_is_no_csv_is_refused_by_its_number(tmp_path):
    line = '"' + "x" * 200_000  # more than Python's reader takes

    with pytest.raises(ConfigError, match="line 1 is not CSV"):
        HashList.open(written(tmp_path, f"{line}\n"))
