"""Killed processes, full disks and old versions leave a case that opens and verifies."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from case_samples import fill, images
from mayak.case import CaseStore, schema
from mayak.errors import CaseError

WRITER = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from case_samples import images
from mayak.case import CaseStore, database, folder

# A small cache spills an open transaction into the database file.
store = CaseStore.open(Path(sys.argv[1]), operator="a")
store._database.connection.execute("PRAGMA cache_size = 5")
source = store.add_source("phone.zip", "zip")
{sabotage}
print("writing", flush=True)
for first in range(1, 2000, 20):
    store.add_items(source, images(first, first + 19))
"""

DIE_BEFORE_COMMIT = """
store.add_items(source, images(1, 20))
write = database.Batch.write
def write_and_die(self, *args):
    write(self, *args)
    os._exit(9)
database.Batch.write = write_and_die
store.add_items(source, images(21, 320, thumbnail=None))
"""

DIE_IN_A_THUMBNAIL = """
sync, calls = os.fsync, []
def sync_or_die(handle):
    calls.append(handle)
    if len(calls) == 12:
        os._exit(9)
    sync(handle)
os.fsync = sync_or_die
"""

LEAVE_A_WORKER = """
if os.fork() == 0:
    os.close(1)
    os.close(2)
    import time
    time.sleep(60)
    os._exit(0)
"""


@pytest.fixture
def folder(tmp_path):
    CaseStore.create(tmp_path / "case", operator="a").close()
    return tmp_path / "case"


def start(folder, sabotage=""):
    script = WRITER.format(sabotage=sabotage)
    command = [sys.executable, "-c", script, str(folder), str(Path(__file__).parents[1])]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def resumed(folder):
    """The case, opened, verified and completed."""
    with CaseStore.open(folder, operator="b") as store:
        assert store.verify() == []
        before = store.counts().items
        assert before % 20 == 0
        source = store.add_source("phone.zip", "zip")
        assert store.add_items(source, images(1, 400)) == max(400 - before, 0)
        assert store.verify() == []
        found = [item.display for item in store.known_items(source)][:400]
        assert found == [f"phone.zip/{n}.jpg" for n in range(1, 401)]
        return before


@pytest.mark.parametrize("moment", [0.0, 0.011, 0.037, 0.083, 0.15])
def test_kill_at_any_moment(folder, moment):
    process = start(folder)
    process.stdout.readline()
    time.sleep(moment)
    process.kill()
    process.communicate()
    resumed(folder)


def test_kill_between_writing_and_commit(folder):
    process = start(folder, DIE_BEFORE_COMMIT)
    process.communicate()
    assert process.returncode == 9
    journal = folder / "case.sqlite-journal"
    assert journal.stat().st_size > 0, "nothing had been spilled: the test is none"
    with CaseStore.read(folder) as reader:  # a reader alone can undo it
        assert reader.verify() == []
        assert reader.counts().items == 20
    assert resumed(folder) == 20


def test_kill_between_thumbnail_and_rows(folder):
    process = start(folder, DIE_IN_A_THUMBNAIL)
    process.communicate()
    assert process.returncode == 9
    assert list((folder / "thumbnails").rglob("*.part"))
    resumed(folder)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_worker_that_outlives_its_killed_parent_holds_no_lock(folder):
    process = start(folder, LEAVE_A_WORKER)
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    resumed(folder)


def test_kill_while_a_case_is_made(tmp_path, monkeypatch):
    script = (
        "import os, sys; from pathlib import Path; from mayak.case import CaseStore, store\n"
        "store.write_identity = lambda *_: os._exit(9)\n"
        "CaseStore.create(Path(sys.argv[1]), operator='a')"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "case")]
    assert subprocess.run(command).returncode == 9
    with CaseStore.create(tmp_path / "case", operator="a") as store:
        assert store.verify() == []


def test_a_full_disk_under_the_database(folder):
    with CaseStore.open(folder, operator="a") as store:
        source = store.add_source("phone.zip", "zip")
        store.add_items(source, images(1, 20))
        connection = store._database.connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(CaseError, match="full") as caught:
            store.add_items(source, images(21, 220, thumbnail=None))
        assert "free space" in caught.value.remedy
        assert store.verify() == []
        assert store.counts().items == 20
        connection.execute("PRAGMA max_page_count = 1000000")
        assert store.add_items(source, images(21, 220)) == 200
    resumed(folder)


def test_a_full_disk_under_the_thumbnails(folder, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with CaseStore.open(folder, operator="a") as store:
        source = store.add_source("phone.zip", "zip")
        with monkeypatch.context() as patched:
            patched.setattr("os.fsync", full)
            with pytest.raises(CaseError, match="No space left") as caught:
                store.add_items(source, images(1, 20))
        assert "free space" in caught.value.remedy
        assert not [path for path in (folder / "thumbnails").rglob("*") if path.is_file()]
        assert store.counts().items == 0
    assert resumed(folder) == 0


@pytest.fixture
def further_version(monkeypatch):
    def install(sql):
        versions = (*schema.migrations(), sql)
        monkeypatch.setattr(schema, "migrations", lambda: versions)

    return install


def test_a_case_is_brought_up_to_date(folder, further_version):
    with CaseStore.open(folder, operator="a") as store:
        fill(store)
    further_version("ALTER TABLE items ADD COLUMN note TEXT;\nCREATE INDEX n ON items (note);")
    with CaseStore.open(folder, operator="b") as store:
        assert store.verify() == []
        assert store.add_items(1, images(1, 2)) == 2
        assert store.verify() == []
        migrated = [e for e in store.log() if e.action == "migrate"]
    assert [(e.detail["version"], e.operator) for e in migrated] == [
        *((version, "a") for version in range(1, len(schema.migrations()))),
        (len(schema.migrations()), "b"),
    ]


def test_an_older_case_is_read_as_it_is(folder, further_version):
    with CaseStore.open(folder, operator="a") as store:
        fill(store)
        head = store.head()
    before = (folder / "case.sqlite").read_bytes()
    further_version("ALTER TABLE items ADD COLUMN note TEXT;\nCREATE INDEX n ON items (note);")
    with CaseStore.read(folder) as store:
        assert store.verify() == []
        assert (store.counts().items, store.head()) == (5, head)
    assert (folder / "case.sqlite").read_bytes() == before


def test_a_migration_that_fails_leaves_the_old_version(folder, further_version, monkeypatch):
    with monkeypatch.context():
        further_version("CREATE TABLE half (a);\nCREATE TABLE items (a);")
        with pytest.raises(CaseError, match="already exists"):
            CaseStore.open(folder, operator="b")
        monkeypatch.undo()
    with CaseStore.open(folder, operator="b") as store:
        assert store.verify() == []


def test_a_newer_database_is_refused(folder, further_version, monkeypatch):
    with monkeypatch.context():
        further_version("CREATE TABLE newest (id INTEGER PRIMARY KEY);")
        CaseStore.open(folder, operator="b").close()
        monkeypatch.undo()
    for opened in (CaseStore.read, lambda f: CaseStore.open(f, operator="a")):
        with pytest.raises(CaseError, match="newer version"):
            opened(folder)


def test_a_damaged_database_is_said_to_be_damaged(folder):
    (folder / "case.sqlite").write_bytes(b"not a database" * 500)
    with pytest.raises(CaseError, match="database is damaged") as caught:
        CaseStore.open(folder, operator="a")
    assert caught.value.exit_code == 3
