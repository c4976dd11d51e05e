"""Builds phone backups by their formats, as tests need them: iTunes or Finder, and Android.

Nothing here comes from the readers: keys are wrapped with PyCryptodome, property lists and
databases are written by Python's own modules. PyCryptodome's random numbers are replaced by
fixed ones, so that a backup is the same each time.
"""

import hashlib
import plistlib
import sqlite3
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from Cryptodome.Cipher import AES

PASSWORD = "열려라 참깨 7!"  # noqa: S105
ROUNDS = 1000
"""A device takes 10,000,000 and 10,000."""


def fixed(name, size):
    """Bytes that look random and depend on a name."""
    return hashlib.shake_256(name.encode()).digest(size)


def cbc(key, data, vector=bytes(16)):
    count = 16 - len(data) % 16
    return AES.new(key, AES.MODE_CBC, iv=vector).encrypt(data + bytes([count]) * count)


def wrapped(key, inner):
    return AES.new(key, AES.MODE_KW).seal(inner)


def file_id(domain, path):
    return hashlib.sha1(f"{domain}-{path}".encode()).hexdigest()  # noqa: S324


@dataclass
class IosFile:
    domain: str
    path: str
    data: bytes
    modified: int = 1_700_000_000
    created: int = 1_600_000_000
    protection: int = 3
    """Number of the protection class."""
    stated: int | None = None
    """Size in the list, if it is another."""

    @property
    def name(self):
        return f"{self.domain}/{self.path}"

    @property
    def file_id(self):
        return file_id(self.domain, self.path)


@dataclass
class Keybag:
    password: str = PASSWORD
    classes: tuple[int, ...] = (1, 2, 3, 4, 6, 7, 11)
    rounds: int = ROUNDS
    is_old: bool = False
    """As before iOS 10.2: without the first round of PBKDF2."""
    keys: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self):
        self.keys = {number: fixed(f"class {number}", 32) for number in self.classes}

    def bytes(self):
        salt, first_salt = fixed("salt", 20), fixed("first salt", 20)
        key = self.password.encode()
        if not self.is_old:
            key = hashlib.pbkdf2_hmac("sha256", key, first_salt, min(self.rounds, ROUNDS), 32)
        key = hashlib.pbkdf2_hmac("sha1", key, salt, ROUNDS, 32)
        records = [
            (b"VERS", 3), (b"TYPE", 1), (b"UUID", fixed("bag", 16)), (b"HMCK", fixed("hmck", 40)),
            (b"WRAP", 0), (b"SALT", salt), (b"ITER", ROUNDS),
        ]  # fmt: skip
        if not self.is_old:
            records += [(b"DPWT", 1), (b"DPIC", self.rounds), (b"DPSL", first_salt)]
        for number, each in self.keys.items():
            records += [
                (b"UUID", fixed(f"uuid {number}", 16)), (b"CLAS", number), (b"WRAP", 2),
                (b"KTYP", 0), (b"WPKY", wrapped(key, each)),
            ]  # fmt: skip
        values = [(t, struct.pack(">L", v) if isinstance(v, int) else v) for t, v in records]
        return b"".join(tag + struct.pack(">L", len(value)) + value for tag, value in values)


def mb_file(file, encryption_key=None):
    """The archived ``MBFile`` of a file."""
    uid = plistlib.UID
    properties = {
        "$class": uid(3), "RelativePath": uid(2), "Size": len(file.data), "Mode": 0o100644,
        "LastModified": file.modified, "LastStatusChange": file.modified + 1,
        "Birth": file.created, "ProtectionClass": file.protection, "UserID": 501, "GroupID": 501,
        "InodeNumber": 1, "Flags": 0,
    }  # fmt: skip
    if file.stated is not None:
        properties["Size"] = file.stated
    objects = ["$null", properties, file.path, {"$classes": ["MBFile", "NSObject"]}]
    if encryption_key is not None:
        properties["EncryptionKey"] = uid(4)
        objects += [{"NS.data": encryption_key, "$class": uid(5)}, {"$classes": ["NSMutableData"]}]
    archive = {
        "$version": 100000,
        "$archiver": "NSKeyedArchiver",
        "$top": {"root": uid(1)},
        "$objects": objects,
    }
    return plistlib.dumps(archive, fmt=plistlib.FMT_BINARY)


SCHEMA = """
CREATE TABLE Files (fileID TEXT PRIMARY KEY, domain TEXT, relativePath TEXT, flags INTEGER,
    file BLOB);
CREATE INDEX FilesDomainIdx ON Files(domain);
CREATE INDEX FilesRelativePathIdx ON Files(relativePath);
CREATE INDEX FilesFlagsIdx ON Files(flags);
CREATE TABLE Properties (key TEXT PRIMARY KEY, value BLOB);
"""


def database(rows, schema=SCHEMA):
    connection = sqlite3.connect(":memory:")
    connection.executescript(schema)
    connection.executemany("INSERT INTO Files VALUES (?, ?, ?, ?, ?)", rows)
    connection.commit()
    data = connection.serialize()
    connection.close()
    return data


def ios_backup(files, keybag=None, *, is_flat=False, extra_rows=(), is_list_plain=False):
    """{name in the backup: bytes}; encrypted if a keybag is given."""
    rows, stored = [], {}
    for file in files:
        place = file.file_id if is_flat else f"{file.file_id[:2]}/{file.file_id}"
        if keybag is None:
            stored[place], record = file.data, mb_file(file)
        else:
            key = fixed(file.name, 32)
            inner = struct.pack("<L", file.protection)
            inner += wrapped(keybag.keys[file.protection], key)
            stored[place], record = cbc(key, file.data), mb_file(file, inner)
        rows.append((file.file_id, file.domain, file.path, 1, record))
    folder = IosFile("CameraRollDomain", "Media/DCIM", b"")
    rows.append((folder.file_id, folder.domain, folder.path, 2, mb_file(folder)))
    rows += extra_rows
    listed = database(rows)
    properties = {
        "Version": "10.0",
        "IsEncrypted": keybag is not None,
        "Lockdown": {"ProductVersion": "17.0"},
        "BackupKeyBag": (keybag or Keybag()).bytes(),
    }
    if keybag is not None and not is_list_plain:
        key = fixed("manifest", 32)
        properties["ManifestKey"] = struct.pack("<L", 4) + wrapped(keybag.keys[4], key)
        listed = cbc(key, listed)
    return stored | {
        "Manifest.db": listed,
        "Manifest.plist": plistlib.dumps(properties, fmt=plistlib.FMT_BINARY),
        "Info.plist": plistlib.dumps({"Device Name": "iPhone"}),
        "Status.plist": plistlib.dumps({"IsFullBackup": True}, fmt=plistlib.FMT_BINARY),
    }


def write(folder, files):
    for name, data in files.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return Path(folder)


# ------------------------------------------------------------ Android


def java_utf8(key):
    """What Java's PBKDF2 makes of bytes that were cast to chars: bytes are signed there, so those
    from 0x80 on become U+FF80 to U+FFFF, each three bytes in UTF-8."""
    return "".join(chr(b if b < 128 else b + 0xFF00) for b in key).encode()


def android_backup(tar, *, version=5, is_compressed=True, password=None, rounds=ROUNDS):
    """An ``.ab`` with a TAR in it; with a password encrypted with AES-256."""
    content = zlib.compress(tar) if is_compressed else tar
    lines = ["ANDROID BACKUP", str(version), str(int(is_compressed))]
    if password is None:
        return "\n".join([*lines, "none", ""]).encode() + content
    salt, checksum_salt = fixed("user salt", 64), fixed("checksum salt", 64)
    vector, master_vector, master = fixed("iv", 16), fixed("master iv", 16), fixed("master", 32)
    # Version 1 took the low 8 bits of each character.
    eight_bits = version == 1
    typed = password.encode("latin-1") if eight_bits else password.encode()
    done = min(rounds, ROUNDS)
    key = hashlib.pbkdf2_hmac("sha1", typed, salt, done, 32)
    checked = master if eight_bits else java_utf8(master)
    checksum = hashlib.pbkdf2_hmac("sha1", checked, checksum_salt, done, 32)
    blob = b"".join(bytes([len(part)]) + part for part in (master_vector, master, checksum))
    lines += ["AES-256", salt.hex().upper(), checksum_salt.hex().upper(), str(rounds)]
    lines += [vector.hex().upper(), cbc(key, blob, vector).hex().upper(), ""]
    return "\n".join(lines).encode() + cbc(master, content, master_vector)
