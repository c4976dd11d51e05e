"""Case folders that were damaged or prepared to do harm, for the tests and for the soak run.

``PLANTS`` maps a name to a function that changes a case folder in place, at random. Whatever a
plant points to is in the canary folder next to the case, of which nothing may ever change.
"""

import hashlib
import io
import json
import os
import shutil
import sqlite3
import struct
from contextlib import closing, suppress

import numpy as np
from PIL import Image

from mayak.case import Alert, CaseStore, Content, Duplicate, Exclusion, Item
from mayak.imaging.hashing import perceptual_hash
from mayak.imaging.thumbnails import thumbnail
from mayak.types import Engine, EvidencePath, Failure, Prediction, Scores

ENGINE = Engine("nano", None, "fp32", "0" * 64, "1" * 64, (("torch", "2.11"),))
FILES = (
    "case.json",
    "case.lock",
    "case.sqlite",
    "case.sqlite-journal",
    "case.sqlite-shm",
    "case.sqlite-wal",
)
TABLES = (
    "alerts",
    "contents",
    "decisions",
    "exclusions",
    "failures",
    "finishes",
    "group_members",
    "groupings",
    "items",
    "log",
    "predictions",
    "revisions",
    "runs",
    "sample_items",
    "samples",
    "source_hashes",
    "sources",
)
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT "
DEEP = "[" * 100_000

# ------------------------------------------------------------------ the case and the canary


def build(folder):
    """A case ``case`` of eight images with decisions, and the folder ``canary`` next to it."""
    evidence = folder / "evidence"
    evidence.mkdir()
    root = EvidencePath("folder", "evidence")
    items = []
    for number in range(8):
        noise = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        image = Image.fromarray(noise).resize((48, 48), Image.Resampling.BICUBIC)
        stream = io.BytesIO()
        image.save(stream, "JPEG")
        data = stream.getvalue()
        (evidence / f"{number}.jpg").write_bytes(data)
        found = perceptual_hash(image)
        content = Content(
            sha256=hashlib.sha256(data).hexdigest(),
            md5=hashlib.md5(data, usedforsecurity=False).hexdigest(),
            sha1=hashlib.sha1(data, usedforsecurity=False).hexdigest(),
            size=len(data),
            format="JPEG",
            width=48,
            height=48,
            pdq=found.bits,
            pdq_quality=found.quality,
            metadata={
                "taken": f"2026-03-0{number + 1} 10:00:00",
                "make": "Maker",
                "location": {"latitude": 37.5, "longitude": 127.0, "altitude": None},
            },
            thumbnail=thumbnail(image),
            warnings=("first of 2 frames",),
        )
        path = root.child("file", f"{number}.jpg")
        items.append(Item(str(path), path.to_json(), content, size=len(data)))
    digests = [item.outcome.sha256 for item in items]
    for name, outcome in (
        ("copy.jpg", Duplicate(digests[0])),
        ("broken.jpg", Failure("broken.jpg", "decode", "DecodeError", "not an image")),
        ("icon.png", Exclusion("too-small", "16 × 16 pixels")),
    ):
        path = root.child("file", name)
        items.append(Item(str(path), path.to_json(), outcome, size=4))
        (evidence / name).write_bytes(b"none")
    shutil.copy(evidence / "0.jpg", evidence / "copy.jpg")
    with CaseStore.create(folder / "case", operator="maker") as case:
        source = case.add_source(str(evidence), "folder")
        case.add_items(source, items)
        case.revise_items(source, [Item(items[-1].display, items[-1].location, items[-2].outcome)])
        run = case.start_run(ENGINE)
        case.add_results(
            run,
            [
                Prediction(digest, Scores((0.7, 0.1, 0.1, 0.1), 0.01), False, ENGINE.fingerprint)
                for digest in digests
            ],
        )
        case.finish_run(run)
        case.add_alerts([Alert(digests[1], "bad.txt", "0" * 64, "md5")])
        case.set_groups([digests[:3]], distance=31)
        case.decide("kim", {digests[0]: 1, digests[1]: 2})
        case.undo("kim")
        case.decide("lee", {digests[0]: 0})
        sample = case.draw_sample(run, 2, 42, "kim")
        case.judge("kim", sample, dict.fromkeys(case.sample_items(sample), 0))
    canary = folder / "canary"
    shutil.copytree(folder / "case", canary / "case")
    (canary / "evidence.dd").write_bytes(os.urandom(5_000))
    (canary / "thumbnails").mkdir()
    return folder / "case", canary


def state(folder):
    """Every name below a folder with its kind, size, time of change and content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        data = path.read_bytes() if path.is_file() else b""
        found[path] = (status.st_mode, status.st_size, status.st_mtime_ns, data)
    return found


def database(folder):
    connection = sqlite3.connect(folder / "case.sqlite", isolation_level=None)
    for pragma in ("foreign_keys = OFF", "synchronous = OFF"):
        connection.execute(f"PRAGMA {pragma}")
    return closing(connection)


def run(folder, *statements):
    with database(folder) as connection:
        for statement in statements:
            connection.execute(*([statement] if isinstance(statement, str) else statement))


def change(folder, statement, *values):
    """Change rows as somebody with a SQLite browser does: the triggers are off meanwhile."""
    with database(folder) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = triggers.fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        with suppress(sqlite3.Error):  # a value that this column cannot hold
            connection.execute(statement, values)
        for _, sql in triggers:
            connection.execute(sql)


def edit_schema(folder, statement):
    """Change the schema's own table: SQLite itself writes no such schema."""
    with database(folder) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(statement)


def super_journal(database, victim, *, signed=True):
    """A hot rollback journal of no page whose end names a super-journal; ``signed`` is the
    ``char`` of the machine that wrote it."""
    data = database.read_bytes()
    page = struct.unpack(">H", data[16:18])[0]
    magic = bytes.fromhex("d9d505f920a163d7")
    head = magic + struct.pack(">IIIII", 0, 0x1234, len(data) // page, 512, page)
    name = os.fsencode(victim)
    check = sum(byte - 256 * (signed and byte > 127) for byte in name) & 0xFFFFFFFF
    tail = struct.pack(">I", 0x40000000 // page + 1) + name + struct.pack(">II", len(name), check)
    return head.ljust(512, b"\0") + tail + magic


# ------------------------------------------------------------------ what is planted


def flipped_bytes(folder, canary, rng):
    path = folder / "case.sqlite"
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 2, 3, 8, 30])):
        page = rng.randrange(len(data) // 4096) if rng.random() < 0.8 else 0
        at = page * 4096 + rng.randrange(120 if rng.random() < 0.5 else 4096)
        data[at] = rng.choice([data[at] ^ 1 << rng.randrange(8), rng.randrange(256), 0, 255])
    path.write_bytes(data)


def cut_file(folder, canary, rng):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = rng.choice([folder / "case.sqlite", folder / "case.json", *files])
    os.truncate(path, rng.randrange(path.stat().st_size or 1))


def missing_file(folder, canary, rng):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    rng.choice([folder / "case.sqlite", folder / "case.json", *files]).unlink()


def swapped_files(folder, canary, rng):
    one, other = rng.sample(sorted(path for path in folder.rglob("*") if path.is_file()), 2)
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)


def foreign_trigger(folder, canary, rng):
    table = rng.choice(["decisions", "log", "items", "samples"])
    act = rng.choice(["SELECT RAISE(IGNORE)", f"{ENDLESS} x FROM c WHERE x < 0", "DELETE FROM log"])
    run(folder, f"CREATE TRIGGER z BEFORE INSERT ON {table} BEGIN {act}; END")


def endless_view(folder, canary, rng):
    name = rng.choice(["log", "present", "places", "verdicts", "sources", "contents", "runs"])
    with database(folder) as connection:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
        (kind,) = connection.execute(
            "SELECT type FROM sqlite_master WHERE name = ?", (name,)
        ).fetchone()
    shown = ", ".join(f"x AS {column}" for column in columns)
    off = [f"DROP TRIGGER IF EXISTS {table}_{t}" for table in TABLES for t in ("keeps", "holds")]
    views = ["DROP VIEW present", "DROP VIEW places", "DROP VIEW verdicts"]
    gone = f"ALTER TABLE {name} RENAME TO old" if kind == "table" else "SELECT 1"
    run(folder, *off, *views, gone, f"CREATE VIEW {name} AS {ENDLESS} {shown} FROM c")


def foreign_object(folder, canary, rng):
    statement = rng.choice(
        [
            "CREATE TABLE notes (text)",
            f"CREATE VIEW notes AS {ENDLESS} x FROM c",
            "CREATE VIRTUAL TABLE notes USING fts5(text)",
            "CREATE VIRTUAL TABLE notes USING rtree(a, b, c)",
            "CREATE INDEX notes ON items (hex(zeroblob(1000000)))",
            "CREATE INDEX notes ON log (at)",
            "ANALYZE",
            "DROP INDEX items_content",
            "DROP TRIGGER decisions_keeps",
            "DROP VIEW verdicts",
        ]
    )
    run(folder, statement)


def generated_column(folder, canary, rng):
    column = rng.choice(
        [
            "GENERATED ALWAYS AS (hex(zeroblob(50000000))) VIRTUAL",
            "GENERATED ALWAYS AS (upper(digest)) VIRTUAL",
            "DEFAULT 'x'",
        ]
    )
    table = rng.choice(["items", "decisions", "sources"])
    run(folder, f"ALTER TABLE {table} ADD COLUMN further TEXT {column}")


def edited_schema(folder, canary, rng):
    edit_schema(
        folder,
        rng.choice(
            [
                "UPDATE sqlite_master SET sql = 'CREATE TABLE garbage (' WHERE name = 'items'",
                "UPDATE sqlite_master SET sql = replace(sql, 'digest', 'd\u00efgest')",
                "UPDATE sqlite_master SET sql = CAST(X'fffe80' AS TEXT) WHERE name = 'log'",
                "UPDATE sqlite_master SET rootpage = 1 WHERE name = 'items'",
                "UPDATE sqlite_master SET rootpage = 999999 WHERE name = 'contents'",
                "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master"
                " WHERE name = 'contents') WHERE name = 'items_content'",
                "UPDATE sqlite_master SET name = 'LOG' WHERE name = 'log'",
                "UPDATE sqlite_master SET type = 'view' WHERE name = 'log'",
                "INSERT INTO sqlite_master SELECT * FROM sqlite_master WHERE name = 'present'",
                f"UPDATE sqlite_master SET sql = 'CREATE VIEW present AS {ENDLESS} x FROM c'"  # noqa: S608
                " WHERE name = 'present'",
                "INSERT INTO sqlite_master VALUES ('view', 'sqlite_stat1', 'sqlite_stat1', 0,"  # noqa: S608
                f" 'CREATE VIEW sqlite_stat1 AS {ENDLESS} x AS tbl, x AS idx, x AS stat FROM c')",
                "DELETE FROM sqlite_master",
            ]
        ),
    )


def repeated_pages(folder, canary, rng):
    """A tree of a table in which each level repeats the one below 400 times: 10^13 rows."""
    table = rng.choice(TABLES)
    with database(folder) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        (root,) = connection.execute(query, (table,)).fetchone()
    path = folder / "case.sqlite"
    data = bytearray(path.read_bytes())
    pages = [data[(root - 1) * 4096 : root * 4096]]
    first = len(data) // 4096 + 1
    for _ in range(5):
        pages.append(_interior(first + len(pages) - 1))
    data += b"".join(pages[:-1])
    data[(root - 1) * 4096 : root * 4096] = pages[-1]
    data[28:32] = struct.pack(">I", len(data) // 4096)
    data[92:96] = data[24:28]
    path.write_bytes(data)


def _interior(child):
    """A page of a table's tree (https://www.sqlite.org/fileformat2.html section 1.6)."""
    count = 400
    cells = b"".join(struct.pack(">IB", child, min(n, 127)) for n in range(count, 0, -1))
    start = 4096 - len(cells)
    head = struct.pack(">BHHHBI", 5, 0, count, start, 0, child)
    pointers = struct.pack(f">{count}H", *range(4091, start - 1, -5))
    return (head + pointers).ljust(start, b"\0") + cells


def other_version(folder, canary, rng):
    run(folder, f"PRAGMA user_version = {rng.choice([-1, 0, 1, 5, 6, 99, 2**31 - 1])}")


def other_header(folder, canary, rng):
    path = folder / "case.sqlite"
    data = bytearray(path.read_bytes())
    fields = {
        16: (b"\0\1", b"\2\0"),  # page size
        18: (b"\2\2",),  # write-ahead log
        20: (b"\xff",),  # reserved space
        24: (b"\xff" * 4,),
        28: (b"\xff" * 4,),  # pages
        32: (b"\0\0\0\1",),  # free list
        40: (b"\xff" * 4,),
        44: (b"\xff" * 4,),  # schema format
        56: (b"\0\0\0\2",),  # UTF-16
        96: (b"\0" * 4,),
    }
    at = rng.choice(sorted(fields))
    value = rng.choice(fields[at])
    data[at : at + len(value)] = value
    path.write_bytes(data)


def other_journal_mode(folder, canary, rng):
    run(folder, f"PRAGMA journal_mode = {rng.choice(['WAL', 'PERSIST', 'DELETE'])}")


def planted_super_journal(folder, canary, rng):
    victim = rng.choice([canary / "evidence.dd", canary / "case" / "case.sqlite", "no such file"])
    journal = super_journal(folder / "case.sqlite", victim)
    if rng.random() < 0.3:
        journal = bytes(28) + journal[28:]  # as PERSIST leaves it
    (folder / "case.sqlite-journal").write_bytes(journal)


def planted_journal(folder, canary, rng):
    magic = bytes.fromhex("d9d505f920a163d7")
    head = magic + struct.pack(">IIIII", 0, 7, 3, 512, 4096)
    kinds = [rng.randbytes(5000), magic + rng.randbytes(5000), head.ljust(512, b"\0"), magic]
    kinds.append(head.ljust(512, b"\0") + rng.randbytes(4104))
    (folder / rng.choice(FILES[3:])).write_bytes(rng.choice(kinds))


def put(path, make):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    make(path)


def planted_link(folder, canary, rng):
    thumbnail = rng.choice(sorted(folder.glob("thumbnails/*/*.jpg")))
    names = [*(folder / name for name in FILES), thumbnail, thumbnail.parent]
    path = rng.choice([*names, folder / "thumbnails"])
    if path.name.startswith("case.") or path is thumbnail:
        own = canary / "case" / path.name
        target = rng.choice([canary / "evidence.dd", own, "/dev/zero", canary / "missing"])
    else:
        target = canary / "thumbnails"
    put(path, lambda place: place.symlink_to(target))


def planted_hard_link(folder, canary, rng):
    name = rng.choice(FILES[1:])
    target = canary / "evidence.dd"
    if name == "case.sqlite":
        target = canary / "case" / name
    put(folder / name, lambda place: place.hardlink_to(target))


def planted_pipe(folder, canary, rng):
    thumbnail = rng.choice(sorted(folder.glob("thumbnails/*/*.jpg")))
    names = [*(folder / name for name in FILES), thumbnail, folder / "thumbnails"]
    put(rng.choice(names), os.mkfifo)


def planted_folder(folder, canary, rng):
    thumbnail = rng.choice(sorted(folder.glob("thumbnails/*/*.jpg")))
    put(rng.choice([*(folder / name for name in FILES), thumbnail]), lambda path: path.mkdir())


def damaged_identity(folder, canary, rng):
    path = folder / "case.json"
    values = json.loads(path.read_bytes())
    odd = [
        None,
        [],
        {},
        7,
        True,
        "\ud800",
        "a\0b",
        "2020-01-01",
        "9999-12-31T23:59:59-14:00",
        2**70,
    ]
    whole = [b"", b"[]", b"null", DEEP, '{"a":' * 50_000, b"\xff\xfe\0", '{"format": 1e999}']
    whole += ['{"format": ' + "9" * 5000 + "}", b"\0" * 100, b" " * (2**24 + 1), '"x"']
    if rng.random() < 0.5:
        text = rng.choice(whole)
    else:
        text = json.dumps(values | {rng.choice(sorted(values)): rng.choice(odd)})
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


ODD_METADATA = (
    '{"location":{"latitude":"x","longitude":[1]}}',
    '{"location":{"latitude":NaN,"longitude":Infinity}}',
    '{"location":{}}',
    '{"location":7}',
    '{"taken":7,"make":{"a":1}}',
    '{"make":"\\ud800"}',
    '{"taken":"0001-01-01T00:00+14:00"}',
)
ODD_PATHS = (
    '[{"kind":"file","name":7}]',
    '[{"kind":"x","name":"y"}]',
    json.dumps([{"kind": "file", "name": "x"}] * 5000),
)
VALUES = {
    "contents.metadata": ["{", DEEP, "[1]", "7", *ODD_METADATA],
    "contents.warnings": ["7", "{", DEEP, "[7]", '{"a": 1}', '["\\ud800"]', "null"],
    "contents.thumbnail": ["../../../../etc/passwd", "x", "a\0b", "A" * 64, ""],
    "contents.sha256": ["<b>", "", "\0"],
    "contents.pdq": [b"", bytes(31), bytes(33)],
    "contents.pdq_quality": [-1, 2**40],
    "contents.width": [2**63 - 1, -1],
    "contents.size": [2**63 - 1, -9],
    "items.location": ["{", DEEP, "[]", "7", *ODD_PATHS],
    "items.display": ["", "\0<i>", "a\nb", "x" * 1_000_000, "\x1b[31m"],
    "items.created": ["9999-99-99", "x", "0001-01-01T00:00:00+14:00", "2020-01-01T00:00:00", ""],
    "items.modified": ["yesterday", "9999-12-31T23:59:59-14:00"],
    "items.outcome": ["lie", "content", "failure"],
    "items.content": [None, "0" * 64],
    "items.source": [7, -1, 2**40],
    "items.id": [2**63 - 1, -5, 2**31],
    "sources.path": ["/dev/zero", "a\0b", "", "/proc/self/fd", "\ufffe"],
    "sources.kind": ["<x>", ""],
    "sources.id": [-1, 40_000, 2**62],
    "source_hashes.began": ["x"],
    "runs.engine": ["[]", "{", DEEP, "null", '{"model": 7}'],
    "runs.started": ["x", "2020-01-01"],
    "finishes.finished": ["x"],
    "predictions.score_0": [9e999, -1.0, 2.0],
    "predictions.off_label": [9e999],
    "predictions.tier": [99],
    "predictions.content": ["0" * 64],
    "failures.error": ["", "x" * 100_000],
    "decisions.verdict": [9, -1, 300, 2**40],
    "decisions.at": ["x", "2020-01-01T00:00:00", ""],
    "decisions.undoes": [99, 0],
    "decisions.sample": [99],
    "decisions.action": [2**63 - 1, -1],
    "decisions.id": [2**63 - 1],
    "samples.size": [0, 2**62],
    "samples.population": [0, 2**62],
    "samples.drawn": ["x"],
    "group_members.number": [-1, 0, 2**31 - 1, 2**40],
    "revisions.item": [99, -1],
    "log.detail": ["{", DEEP, "7", "null", '{"rows": 7}', '{"rows": {"items": 7}}'],
    "log.at": ["yesterday", "", "2020-01-01T00:00:00"],
    "log.sequence": [2**63 - 1],
    "sqlite_sequence.seq": [2**63 - 1, "x", None, -5],
}


def damaged_value(folder, canary, rng):
    column = rng.choice(sorted(VALUES))
    table, _, name = column.partition(".")
    one = rng.random() < 0.5 or name in ("id", "sequence", "sha256")
    where = f"WHERE rowid = (SELECT max(rowid) FROM {table})" if one else ""  # noqa: S608
    statement = f"UPDATE {table} SET {name} = ? {where}"  # noqa: S608
    change(folder, statement, rng.choice(VALUES[column]))


def lost_rows(folder, canary, rng):
    statement = f"DELETE FROM {rng.choice(TABLES)} WHERE rowid % ? = 0"  # noqa: S608
    change(folder, statement, rng.choice([1, 2, 3]))


def damaged_thumbnails(folder, canary, rng):
    found = sorted(folder.glob("thumbnails/*/*.jpg"))
    data = rng.choice([b"", b"<script>alert(1)</script>", rng.randbytes(300), b"x" * (2**24 + 1)])
    if rng.random() < 0.3:
        shutil.rmtree(folder / "thumbnails")
        return
    rng.choice(found).write_bytes(data)


PLANTS = {
    plant.__name__.replace("_", " "): plant
    for plant in (
        flipped_bytes,
        damaged_value,
        cut_file,
        foreign_trigger,
        endless_view,
        planted_super_journal,
        planted_link,
        damaged_identity,
        foreign_object,
        edited_schema,
        generated_column,
        repeated_pages,
        planted_pipe,
        planted_hard_link,
        planted_journal,
        planted_folder,
        other_version,
        other_header,
        other_journal_mode,
        swapped_files,
        missing_file,
        lost_rows,
        damaged_thumbnails,
    )
}
