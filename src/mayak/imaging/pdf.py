"""The pictures inside a PDF."""

from __future__ import annotations

import io
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from pypdf import PageObject, PdfReader, apply_configuration
from pypdf.errors import DependencyError, FileNotDecryptedError
from pypdf.generic import (
    ArrayObject,
    DictionaryObject,
    NameObject,
    NumberObject,
    PdfObject,
    StreamObject,
)

from mayak.errors import DecodeError
from mayak.i18n import msg
from mayak.imaging.behind import begins_as
from mayak.imaging.formats import looks_like_image
from mayak.imaging.parts import Part

# It tells of every blemish that it reads past; without a handler that lands on the terminal.
logging.getLogger("pypdf").addHandler(logging.NullHandler())

_AS_STORED = {"/DCTDecode", "/JPXDecode"}
"""Filters whose data are whole files: JPEG and JPEG 2000."""

_OWN_CONTAINERS = {"/CCITTFaxDecode", "/JBIG2Decode"}
"""Filters whose work pypdf hands on inside a TIFF or PNG; of all others it gives the samples."""

_DEVICES: dict[object, str] = {1: "/DeviceGray", 3: "/DeviceRGB", 4: "/DeviceCMYK"}
"""By number of components; every calibrated colour space is read as one of these."""

_BYTES = 2**30
"""Of one decoded image. pypdf's own limits are less than a page scanned in colour at 600 dpi."""

_HEAD = 512
"""First bytes by which attached files are told apart."""

_CONFIGURATION: dict[str, Any] = {
    "maximum_declared_stream_length": _BYTES,
    "zlib_maximum_output_length": _BYTES,
    "lzw_maximum_output_length": _BYTES,
    "run_length_maximum_output_length": _BYTES,
    "image_maximum_buffer_size": _BYTES,
    "stream_decoding_work_maximum_length": 4 * _BYTES,
    "jbig2dec_binary": None,  # a program that pypdf would find and run: never with evidence
}


def embedded_images(data: bytes) -> list[Part]:
    """The raster images of a PDF's pages in their order, each once.

    A name is made of the page, counted from 1, and the names that lead there: ``page 3/Im0``.
    Files come as stored where the PDF stores them whole (JPEG, JPEG 2000), without what the PDF
    says beside them (masks, colour spaces); otherwise the pixels come as PNG. Stamps and other
    annotations are looked through; the small images written into a page's drawing commands are not.
    Images that are attached come last, as ``attachment NAME``; so do attached documents and
    archives, which cannot be read here.
    A name that comes again (``/A#2FB`` reads as ``/B`` in ``/A``) is numbered: ``page 3/A/B (2)``.

    Raises DecodeError for a PDF that is damaged or needs a password.
    """
    try:
        with apply_configuration(**_CONFIGURATION):
            reader = PdfReader(io.BytesIO(data))
            found = [Part(name, partial(_file, name, stream)) for name, stream in _images(reader)]
            return list(_apart([*found, *_attachments(reader)]))
    except (DependencyError, FileNotDecryptedError) as error:
        raise DecodeError(
            msg("the PDF is encrypted"),
            remedy=msg("open a copy with its password and save it without one elsewhere"),
        ) from error
    except Exception as error:
        raise _unreadable(msg("the PDF"), error) from error


def _apart(parts: list[Part]) -> Iterator[Part]:
    """The same with each name once: by its name a picture is told from all others of its file."""
    taken: set[str] = set()
    again: Counter[str] = Counter()
    for part in parts:
        own = part.name
        while own in taken:
            again[part.name] += 1
            own = f"{part.name} ({again[part.name] + 1})"
        taken.add(own)
        yield replace(part, name=own)


def _unreadable(what: str, error: Exception) -> DecodeError:
    detail = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return DecodeError(
        msg("{what} cannot be decoded ({detail})", what=what, detail=detail),
        remedy=msg("open it in a PDF viewer; it may be damaged"),
    )


def _file(name: str, stream: StreamObject) -> bytes:
    """An image file of one image object. Raises DecodeError."""
    try:
        with apply_configuration(**_CONFIGURATION):
            filters = _resolved(stream.get("/Filter"))
            if isinstance(filters, ArrayObject) and filters:
                filters = _resolved(filters[-1])
            if str(filters) in _AS_STORED:
                return stream.get_data()
            return _png(stream if str(filters) in _OWN_CONTAINERS else _plain(stream))
    except Exception as error:
        raise _unreadable(name, error) from error


def _attachments(reader: PdfReader) -> Iterator[Part]:
    """The attached files that are images, and those that may hold some but are not looked into."""
    try:
        for name, stream in _attached(reader):
            if _may_show_something(name, stream):
                yield Part(f"attachment {name}", partial(_attachment, name, stream))
    except Exception as error:  # noqa: BLE001 - the pages are there whatever is wrong beside them
        yield Part("attachments", partial(_refuse, error))


def _refuse(error: Exception) -> bytes:
    raise _unreadable(msg("the list of attachments"), error) from error


def _may_show_something(name: str, stream: StreamObject) -> bool:
    try:
        head = _unpacked(stream)[:_HEAD]
    except Exception:  # noqa: BLE001 - told of where it is read
        return True
    return looks_like_image(head, name) or begins_as(head) is not None


def _attachment(name: str, stream: StreamObject) -> bytes:
    """An attached image file. Raises DecodeError."""
    try:
        with apply_configuration(**_CONFIGURATION):
            data = _unpacked(stream)
    except Exception as error:
        raise _unreadable(name, error) from error
    if looks_like_image(data[:_HEAD], name):
        return data
    kind = begins_as(data[:_HEAD])
    raise DecodeError(
        msg("{kind} attached to a PDF, which is not looked into", kind=kind),
        remedy=msg("save the attachment elsewhere"),
    )


def _unpacked(stream: StreamObject) -> bytes:
    data: bytes = stream.get_data()
    # pypdf would keep what it has unpacked of every one.
    stream.decoded_self = None
    return data


def _plain(stream: StreamObject) -> StreamObject:
    """The same image in the one form of which pypdf reads every palette and depth: device colours,
    8 bits at most, behind Flate alone."""
    plain = StreamObject()
    plain.update({key: stream[key] for key in stream if key not in ("/Filter", "/DecodeParms")})
    samples = stream.get_data()
    if plain.get("/BitsPerComponent") == 16:
        samples = samples[::2]  # the high bytes
        plain[NameObject("/BitsPerComponent")] = NumberObject(8)
    space = plain.get("/ColorSpace")
    if isinstance(space, ArrayObject) and space[0] in ("/CalGray", "/CalRGB", "/ICCBased"):
        count = {"/CalGray": 1, "/CalRGB": 3}.get(space[0]) or _dictionary(space[1])["/N"]
        plain[NameObject("/ColorSpace")] = NameObject(_DEVICES[count])
    plain.set_data(samples)
    return plain.flate_encode()


def _png(stream: StreamObject) -> bytes:
    image = stream.decode_as_image()
    if image.mode == "P":
        # Palettes have been applied: what is left stands for tones that pypdf does not know.
        raise NotImplementedError(str(stream.get("/ColorSpace")))
    if image.mode not in ("1", "L", "LA", "RGB", "RGBA"):
        image = image.convert("RGB")  # PNG knows no CMYK
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _images(reader: PdfReader) -> Iterator[tuple[str, StreamObject]]:
    seen: set[int] = set()
    for number, page in enumerate(reader.pages, start=1):
        yield from _drawn(page, f"page {number}", seen)
        yield from _stamped(page, f"page {number}", seen)


def _drawn(
    holder: DictionaryObject, name: str, seen: set[int]
) -> Iterator[tuple[str, StreamObject]]:
    """The images that a page, a form or a pattern can draw."""
    resources = _dictionary(holder.get("/Resources"))
    for kind, what in (("/XObject", ""), ("/Pattern", "/pattern")):  # names of each on their own
        for key, value in _dictionary(resources.get(kind)).items():
            yield from _within(value, name + what + key, seen)


def _stamped(page: PageObject, name: str, seen: set[int]) -> Iterator[tuple[str, StreamObject]]:
    """The images in the looks of annotations, which can have one for each state."""
    for number, annotation in enumerate(_array(page.get("/Annots"))):
        for key, value in _dictionary(_dictionary(annotation).get("/AP")).items():
            look = f"{name}/annotation {number + 1}{key}"
            yield from _within(value, look, seen)
            for state, other in _dictionary(value).items():
                yield from _within(other, look + state, seen)


def _attached(reader: PdfReader) -> Iterator[tuple[str, StreamObject]]:
    """The files in a PDF: of the list that belongs to it, and of notes on its pages."""
    names = _dictionary(reader.root_object.get("/Names"))
    nodes = [_dictionary(names.get("/EmbeddedFiles"))]
    known = {id(nodes[0])}
    files: list[PdfObject | None] = []
    for node in nodes:
        for kid in map(_dictionary, _array(node.get("/Kids"))):
            if id(kid) not in known:  # as in ``_within``: circles end
                known.add(id(kid))
                nodes.append(kid)
        files.extend(_array(node.get("/Names"))[1::2])
    for page in reader.pages:
        files.extend(_dictionary(note).get("/FS") for note in _array(page.get("/Annots")))
    seen: set[int] = set()
    for file in map(_dictionary, files):
        name = str(file.get("/UF") or file.get("/F") or "")
        for value in _dictionary(file.get("/EF")).values():
            stream = _resolved(value)
            if isinstance(stream, StreamObject) and id(stream) not in seen:
                seen.add(id(stream))
                yield name, stream


def _within(value: PdfObject, name: str, seen: set[int]) -> Iterator[tuple[str, StreamObject]]:
    stream = _resolved(value)
    if not isinstance(stream, StreamObject) or id(stream) in seen:
        return
    seen.add(id(stream))  # the reader keeps each object that it has read, as one
    if stream.get("/Subtype") == "/Image":
        yield name, stream
    else:
        yield from _drawn(stream, name, seen)


def _dictionary(value: PdfObject | None) -> DictionaryObject:
    found = _resolved(value)
    return found if isinstance(found, DictionaryObject) else DictionaryObject()


def _array(value: PdfObject | None) -> ArrayObject:
    found = _resolved(value)
    return found if isinstance(found, ArrayObject) else ArrayObject()


def _resolved(value: PdfObject | None) -> PdfObject | None:
    return None if value is None else value.get_object()
