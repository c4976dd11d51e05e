"""Virtual disks and other disk images in a format of their own; alone imports pyvhdi and pymodi."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import partial

from mayak.evidence.base import (
    Container,
    ContainerFile,
    ContainerFormat,
    Limits,
    NotReadError,
    container_gap,
    library_for,
)
from mayak.evidence.containers.android_sparse import AndroidSparseBytes
from mayak.evidence.containers.dmg import DmgBytes
from mayak.evidence.containers.qcow2 import Qcow2Bytes
from mayak.evidence.containers.vdi import VdiBytes
from mayak.evidence.containers.vmdk import is_extent, open_vmdk
from mayak.evidence.containers.volumes import DiskContainer
from mayak.evidence.streams import Bytes, HandleBytes, stream_of
from mayak.i18n import msg
from mayak.signatures import CONVERT_QEMU, VIRTUAL_DISKS
from mayak.types import EvidenceEntry, EvidencePath, Failure, OutcomeReason

# VHDX: https://learn.microsoft.com/openspecs/windows_protocols/ms-vhdx
_VHDX_HEADERS = (64 << 10, 128 << 10)
_VHDX_HEADER = struct.Struct("<4s4xQ16x16x16s")
"""Mark, sequence number, and the log's identifier, zeros if nothing in it is left to be done."""


class _VirtualDisk(DiskContainer):
    """The disk inside a disk image."""

    snapshots = 0
    """Number of earlier states in the image, which are not read."""

    def entries(self) -> Iterator[EvidenceEntry | Failure]:
        if self.snapshots:
            reason = (
                f"holds {self.snapshots} earlier states (snapshots), which are not read: convert "
                "each to raw in a copy, with qemu-img convert -l"
            )
            yield container_gap(self._path, OutcomeReason.UNSUPPORTED, reason)
        yield from super().entries()


def _qcow2(file: ContainerFile, path: EvidencePath) -> _VirtualDisk:
    disk = Qcow2Bytes(file.data(), path)
    container = _VirtualDisk(disk, path, file.choices)
    container.snapshots = disk.snapshots
    return container


def _vmdk(file: ContainerFile, path: EvidencePath) -> _VirtualDisk:
    disk, files = open_vmdk(file, path)
    container = _VirtualDisk(disk, path, file.choices)
    container.medium = files
    return container


def _vhd(kind: str, file: ContainerFile, path: EvidencePath) -> _VirtualDisk:
    with library_for(path, msg("a {kind}", kind=kind)):
        import pyvhdi
    data = file.data()
    if kind == "VHDX" and _has_log(data):
        what = msg("is a VHDX that was not closed: its log holds changes, which are not read")
        raise NotReadError(
            path,
            what,
            msg("attach a copy of it once on Windows, which applies the log, and give that copy"),
        )
    handle = pyvhdi.file()
    handle.open_file_object(stream_of(data.read_at, data.size))
    if handle.get_disk_type() == pyvhdi.disk_types.DIFFERENTIAL:
        what = msg(
            "is a {kind} with only the changes to another disk, which is not read", kind=kind
        )
        raise NotReadError(path, what, CONVERT_QEMU)
    return _VirtualDisk(HandleBytes(handle, handle.get_media_size()), path, file.choices)


def _has_log(data: Bytes) -> bool:
    """Whether the current header of a VHDX names a log."""
    headers = [
        _VHDX_HEADER.unpack(found)
        for found in (data.read_at(offset, _VHDX_HEADER.size) for offset in _VHDX_HEADERS)
        if found.startswith(b"head") and len(found) == _VHDX_HEADER.size
    ]
    return any(max(headers, key=lambda header: int(header[1]))[2]) if headers else False


def _dmg(file: ContainerFile, path: EvidencePath) -> _VirtualDisk:
    data = file.data()
    disk = DmgBytes(data, path)
    if not disk.has_lzfse:
        return _VirtualDisk(disk, path, file.choices)
    with library_for(path, msg("a DMG with LZFSE compression")):
        import pymodi
    handle = pymodi.handle()
    handle.open_file_object(stream_of(data.read_at, data.size))
    return _VirtualDisk(HandleBytes(handle, handle.get_media_size()), path, file.choices)


def _vdi(file: ContainerFile, path: EvidencePath) -> _VirtualDisk:
    return _VirtualDisk(VdiBytes(file.data(), path), path, file.choices)


def _android_sparse(file: ContainerFile, path: EvidencePath) -> _VirtualDisk:
    return _VirtualDisk(AndroidSparseBytes(file.data()), path, file.choices)


_OPENERS: dict[str, Callable[[ContainerFile, EvidencePath], _VirtualDisk]] = {
    "VMDK": _vmdk,
    "VMDK descriptor": _vmdk,
    "QCOW2": _qcow2,
    "VHDX": partial(_vhd, "VHDX"),
    "VHD": partial(_vhd, "VHD"),
    "VDI": _vdi,
    "Android sparse image": _android_sparse,
    "DMG": _dmg,
}


def _open(file: ContainerFile, path: EvidencePath, _: Limits) -> Container:
    kind = VIRTUAL_DISKS.identify(file.head)
    return _OPENERS["DMG" if kind is None else kind.name](file, path)


FORMAT = ContainerFormat(VIRTUAL_DISKS.rows, _open, is_later_segment=is_extent)
