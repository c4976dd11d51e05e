"""A case folder from elsewhere is hostile: one clear line, and nothing outside it is touched."""

import asyncio
import hashlib
import json
import os
import random
import shutil
import signal
import threading
from functools import partial
from urllib.parse import urlsplit

import pytest

from hostile_cases import (
    ENDLESS,
    FILES,
    PLANTS,
    build,
    change,
    edit_schema,
    put,
    run,
    state,
    super_journal,
)
from mayak.case import CaseStore, schema
from mayak.case.folder import read_thumbnail, write_thumbnails
from mayak.cli.report import report
from mayak.cli.verify import verify
from mayak.dataset.decided import read_decided
from mayak.errors import IntegrityError, MayakError
from mayak.review import ReviewSession
from mayak.review.app import build as build_app

ROUNDS = 10
"""Of each plant: more than 200 cases together. ``make soak`` makes more."""
PAGES = ("status", "select", "facets", "timeline", "map", "rejected", "samples", "samples/1")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return build(tmp_path_factory.mktemp("hostile"))


@pytest.fixture
def case(made, tmp_path):
    """A fresh copy of the case and the canary, which must be as it was afterwards."""
    original, canary = made
    before = state(canary)
    folder = tmp_path / "case"
    yield (
        folder,
        lambda: shutil.rmtree(folder, ignore_errors=True) or shutil.copytree(original, folder),
        canary,
    )
    assert state(canary) == before


def told(command, folder, **options):
    """The exit code of a command, which states its result or raises one error."""
    try:
        return command(folder, **options)
    except MayakError as error:
        assert error.message and error.remedy
        return error.exit_code


async def ask(app, path):
    """Status and body of the page's answer."""
    parts, sent = urlsplit(path), []
    scope = {
        "type": "http",
        "method": "GET",
        "path": parts.path,
        "query_string": parts.query.encode(),
        "headers": [],
    }

    async def receive():
        return {"type": "http.request"}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


async def look(app):
    """Ask for all that the page shows of a case."""
    for name in PAGES:
        status, body = await ask(app, f"/api/{name}")
        assert status == 200 or (status == 400 and json.loads(body)["message"]), (name, body)
    _, body = await ask(app, "/api/select")
    token = json.loads(body).get("token")
    if token is None:
        return
    status, body = await ask(app, f"/api/cells?token={token}&start=0&count=99")
    assert status in (200, 400)
    for cell in json.loads(body).get("cells", ()):
        for path in (f"/api/content/{cell['sha256']}", f"/api/near/{cell['sha256']}"):
            assert (await ask(app, path))[0] in (200, 400, 404, 422)
        assert (await ask(app, f"/thumb/{cell['thumbnail']}"))[0] in (200, 404, 422)


def review(folder):
    """Open the page's session and look at everything."""
    with ReviewSession(folder, "kim") as session:
        asyncio.run(look(build_app(session, "en")))
    return 0


@pytest.mark.parametrize("name", PLANTS)
def test_a_damaged_or_planted_case_ends_in_one_line_and_touches_nothing_else(
    name, case, monkeypatch
):
    folder, fresh, canary = case
    # These two, which ask nothing of the case, take nine tenths of a report's time.
    monkeypatch.setattr("mayak.report.pdf.render_pdf", lambda *_, **__: b"")
    monkeypatch.setattr("mayak.report.html.with_fonts", lambda html: html)
    codes = set()
    for number in range(ROUNDS):
        for command, options in (
            (verify, {"operator": "kim"}),
            (report, {"overwrite": True}),
            (review, {}),
        ):
            fresh()
            PLANTS[name](folder, canary, random.Random(f"{name} {number}"))
            codes.add(told(command, folder, **options))
    assert codes <= {0, 2, 3}
    assert codes & {2, 3} or name == "other journal mode"


@pytest.mark.parametrize(
    "opened",
    [
        CaseStore.read,
        lambda folder: CaseStore.open(folder, operator="a"),
        lambda folder: CaseStore.review(folder, operator="a"),
    ],
    ids=["read", "open", "review"],
)
def test_a_journal_that_names_a_super_journal_is_refused_and_the_named_file_stays(case, opened):
    folder, fresh, canary = case
    for signed in (True, False):  # the checksum of a name depends on the machine that wrote it
        fresh()
        journal = super_journal(folder / "case.sqlite", canary / "evidence.dd", signed=signed)
        (folder / "case.sqlite-journal").write_bytes(journal)
        with pytest.raises(IntegrityError, match="sqlite-journal makes SQLite delete a file"):
            opened(folder)
        assert (folder / "case.sqlite-journal").read_bytes() == journal


def test_what_only_looks_like_the_end_of_a_super_journal_is_no_reason_to_refuse(case):
    """A journal that was cut behind the magic of a further header, and one of eight bytes."""
    folder, fresh, _ = case
    magic = bytes.fromhex("d9d505f920a163d7")
    for journal in (magic, bytes(512) + b"\xff" * 8 + magic, bytes(504) + magic):
        fresh()
        (folder / "case.sqlite-journal").write_bytes(journal)
        with CaseStore.read(folder) as store:
            assert store.verify() == []


@pytest.mark.parametrize("name", [*FILES, "thumbnails"])
def test_links_and_pipes_in_place_of_the_files_of_a_case_are_refused(case, name):
    folder, fresh, canary = case
    target = canary / ("thumbnails" if name == "thumbnails" else "evidence.dd")
    for make in (lambda path: path.symlink_to(target), os.mkfifo):
        fresh()
        put(folder / name, make)
        for opened in (CaseStore.read, partial(CaseStore.open, operator="a")):
            with pytest.raises(IntegrityError, match=f"case: {name} is "):
                opened(folder)


@pytest.mark.parametrize("name", ["case.lock", "case.sqlite", "case.sqlite-journal"])
def test_a_hard_link_is_not_written_through(case, name):
    folder, fresh, canary = case
    fresh()
    other = canary / "case" / name if name == "case.sqlite" else canary / "evidence.dd"
    put(folder / name, lambda path: path.hardlink_to(other))
    for opened in (CaseStore.open, CaseStore.review):
        with pytest.raises(IntegrityError, match=f"{name} has another name elsewhere"):
            opened(folder, operator="a")
    (folder / name).unlink()


def test_a_hard_linked_backup_can_be_read(case):
    folder, fresh, _ = case
    fresh()
    backup = folder.parent / "backup"
    shutil.copytree(folder, backup, copy_function=os.link)
    with CaseStore.read(backup) as store:
        assert store.verify() == []


def test_thumbnails_are_written_through_no_link(case):
    folder, fresh, canary = case
    for planted in ("part", "folder"):
        fresh()
        data = b"a new thumbnail"
        digest = hashlib.sha256(data).hexdigest()
        place = folder / "thumbnails" / digest[:2]
        if planted == "part":
            place.mkdir(exist_ok=True)
            (place / f"{digest}.jpg.part").symlink_to(canary / "evidence.dd")
            write_thumbnails(folder, [data])
            assert read_thumbnail(folder, digest) == data
        else:
            shutil.rmtree(place, ignore_errors=True)
            place.symlink_to(canary / "thumbnails")
            with pytest.raises(IntegrityError, match=f"thumbnails/{digest[:2]} is a link"):
                write_thumbnails(folder, [data])


def test_a_thumbnail_that_is_not_what_its_name_says_is_not_shown(case):
    folder, fresh, _ = case
    fresh()
    swapped, other, linked, whole = sorted(folder.glob("thumbnails/*/*.jpg"))[:4]
    swapped.write_bytes(other.read_bytes())
    data = linked.read_bytes()
    (folder.parent / "same").write_bytes(data)
    put(linked, lambda path: path.symlink_to(folder.parent / "same"))
    with ReviewSession(folder, "kim") as session:
        app = build_app(session, "en")
        shown = [
            asyncio.run(ask(app, f"/thumb/{path.stem}"))[0] for path in (swapped, linked, whole)
        ]
    assert shown == [404, 404, 200]


@pytest.mark.parametrize("act", ["SELECT RAISE(IGNORE)", "UPDATE decisions SET verdict = 0"])
def test_a_trigger_that_would_lose_or_change_decisions_is_refused_by_name(case, act):
    folder, fresh, _ = case
    fresh()
    run(folder, f"CREATE TRIGGER z BEFORE INSERT ON decisions BEGIN {act}; END")
    for opened in (
        CaseStore.read,
        partial(CaseStore.open, operator="a"),
        partial(ReviewSession, reviewer="a"),
        lambda place: read_decided([place]),
    ):
        with pytest.raises(IntegrityError, match="schema is not mayak's: z was added by hand"):
            opened(folder)


def test_each_foreign_object_is_named_and_verify_goes_on_as_far_as_that_is_safe(case):
    folder, fresh, _ = case
    fresh()
    run(folder, "CREATE TABLE notes (text)", "CREATE VIEW n AS SELECT 1", "DROP INDEX contents_md5")
    change(folder, "UPDATE sources SET kind = 'x'")
    with CaseStore.read(folder, tampered=True) as store:
        assert store.is_readable
        named = {(fault.problem, fault.table, fault.key) for fault in store.verify()}
    foreign = {("inserted", "schema", "notes"), ("inserted", "schema", "n")}
    foreign.add(("deleted", "schema", "contents_md5"))
    assert named == foreign | {("changed", "sources", "id 1")}

    run(folder, "DROP VIEW verdicts", f"CREATE VIEW verdicts AS {ENDLESS} x AS content FROM c")
    with CaseStore.read(folder, tampered=True) as store:
        assert not store.is_readable
        named = {(fault.problem, fault.table, fault.key) for fault in store.verify()}
        assert named == foreign | {("changed", "schema", "verdicts")}
        with pytest.raises(IntegrityError, match="schema is not mayak's"):
            store.counts()


def test_a_case_without_one_of_its_guards_can_be_read_but_not_written(case):
    folder, fresh, _ = case
    fresh()
    run(folder, "DROP TRIGGER decisions_keeps", "DROP INDEX contents_md5")
    with CaseStore.read(folder) as store:
        named = {(fault.problem, fault.key) for fault in store.verify()}
        assert store.counts().is_balanced
    assert named == {("deleted", "decisions_keeps"), ("deleted", "contents_md5")}
    for opened in (CaseStore.open, CaseStore.review):
        with pytest.raises(IntegrityError, match="contents_md5 was removed, decisions_keeps was"):
            opened(folder, operator="a")


def test_the_same_object_twice_is_a_foreign_schema(case):
    folder, fresh, _ = case
    fresh()
    row = "SELECT * FROM sqlite_master WHERE name = 'items_keeps'"
    edit_schema(folder, f"INSERT INTO sqlite_master {row}")
    with pytest.raises(IntegrityError):
        CaseStore.read(folder)


def test_an_older_case_is_compared_with_its_own_version_before_it_is_migrated(case, monkeypatch):
    folder, fresh, _ = case
    fresh()
    versions = (*schema.migrations(), "CREATE INDEX further ON decisions (at);")
    monkeypatch.setattr(schema, "migrations", lambda: versions)
    run(folder, "CREATE TRIGGER z AFTER INSERT ON log BEGIN SELECT 1; END")
    before = (folder / "case.sqlite").read_bytes()
    with pytest.raises(IntegrityError, match="not mayak's: z was added by hand →"):
        CaseStore.open(folder, operator="a")
    assert (folder / "case.sqlite").read_bytes() == before


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_a_statement_that_does_not_end(case):
    folder, fresh, _ = case
    fresh()
    with CaseStore.read(folder) as store:
        interrupt = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        interrupt.start()
        with pytest.raises(KeyboardInterrupt):
            store._database.query(f"{ENDLESS} count(*) FROM c")
        interrupt.join()
        assert store.verify() == []


def test_a_case_on_a_read_only_medium_can_be_read(case):
    folder, fresh, _ = case
    fresh()
    (folder / "case.lock").unlink()
    places = [folder, *folder.rglob("*")]
    for path in places:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        with CaseStore.read(folder) as store:
            assert store.verify() == []
    finally:
        for path in places:
            path.chmod(0o755)
