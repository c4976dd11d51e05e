"""A reader's process in which files of a ZIP crash, hang or take all memory, by their names."""

import ctypes
import hashlib
import io
import os
import signal
import time

from mayak.evidence import serving
from mayak.evidence.containers.zip import ZipContainer


def misbehave(how):
    if how == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif how == "hang":
        time.sleep(1000)
    elif how == "lock":
        ctypes.PyDLL(None).pause()  # hangs without letting go of Python's lock
    elif how == "greedy":
        bytearray(1 << 40)


class Misbehaving(io.BytesIO):
    def __init__(self, how):
        super().__init__()
        self.how = how

    def read(self, size=-1):
        misbehave(self.how)


def serve(pipe, shared, notes, job):
    """As the real one; a file is called like ``crash-in-read.jpg``, an archive that cannot be
    opened like ``hang-in-enter.zip``. The password ``slow`` takes half a second."""
    opens, entries, init = ZipContainer._open, ZipContainer.entries, ZipContainer.__init__

    def faulty_open(self, member):
        how, _, place = member.text.rpartition("/")[2].rpartition(".")[0].partition("-in-")
        if place == "open":
            misbehave(how)
        return Misbehaving(how) if place == "read" else opens(self, member)

    def faulty_entries(self):
        for entry in entries(self):
            how, _, place = entry.path.name.rpartition(".")[0].partition("-in-")
            if place == "list":
                misbehave(how)
            yield entry

    def faulty_init(self, data, path, *rest):
        how, _, place = path.name.rpartition(".")[0].partition("-in-")
        if place == "enter":
            misbehave(how)
        init(self, data, path, *rest)

    def slow_pbkdf2(name, password, *rest):
        if password == b"slow":
            time.sleep(0.5)
        return pbkdf2(name, password, *rest)

    hashlib.pbkdf2_hmac, pbkdf2 = slow_pbkdf2, hashlib.pbkdf2_hmac
    ZipContainer._open, ZipContainer.entries = faulty_open, faulty_entries
    ZipContainer.__init__ = faulty_init
    serving.serve(pipe, shared, notes, job)
