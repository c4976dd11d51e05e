"""List and read the pictures in a PDF: drawn, stamped, in patterns, and attached."""

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
from mayak.imaging.embedded import EmbeddedImage
from mayak.imaging.formats import looks_like_image
from mayak.imaging.trailing_data import begins_as

# pypdf logs every defect that it tolerates; without a handler the terminal would show them.
logging.getLogger("pypdf").addHandler(logging.NullHandler())

_AS_STORED = {"/DCTDecode", "/JPXDecode"}
"""Filters whose data are complete files: JPEG and JPEG 2000."""

_OWN_CONTAINERS = {"/CCITTFaxDecode", "/JBIG2Decode"}
"""Filters whose data pypdf wraps in a TIFF or PNG; for all others it returns the samples."""

_DEVICES: dict[object, str] = {1: "/DeviceGray", 3: "/DeviceRGB", 4: "/DeviceCMYK"}
"""By number of components; every calibrated colour space is read as one of these."""

_BYTES = 2**30
"""Bytes of one decoded image, at most. pypdf's own limits are less than a colour page of 600 dpi
needs."""

_HEAD = 512
"""First bytes by which attached files are identified."""

_CONFIGURATION: dict[str, Any] = {
    "maximum_declared_stream_length": _BYTES,
    "zlib_maximum_output_length": _BYTES,
    "lzw_maximum_output_length": _BYTES,
    "run_length_maximum_output_length": _BYTES,
    "image_maximum_buffer_size": _BYTES,
    "stream_decoding_work_maximum_length": 4 * _BYTES,
    "jbig2dec_binary": None,  # a program that pypdf would find and run: never with evidence
}


def embedded_images(data: bytes) -> list[EmbeddedImage]:
    """Return the raster images of a PDF's pages in their order, each once; attachments come last.

    A name consists of the page, counted from 1, and the names of the objects that lead to the
    image: ``page 3/Im0``. A name that occurs again (``/A#2FB`` reads as ``/B`` in ``/A``) is
    numbered: ``page 3/A/B (2)``. Attached images, and attached documents and archives, which cannot
    be read here, are named ``attachment NAME``.

    Images that the PDF stores as complete files (JPEG, JPEG 2000) are read as stored, without the
    masks and colour spaces that the PDF states for them; all others are read as PNG. Stamps and
    other annotations are included, small images within a page's drawing commands are not.

    Raises:
        DecodeError: the PDF is damaged or needs a password.
    """
    try:
        with apply_configuration(**_CONFIGURATION):
            reader = PdfReader(io.BytesIO(data))
            found = [
                EmbeddedImage(name, partial(_file, name, stream))
                for name, stream in _images(reader)
            ]
            return list(_with_unique_names([*found, *_attachments(reader)]))
    except (DependencyError, FileNotDecryptedError) as error:
        raise DecodeError(
            msg("the PDF is encrypted"),
            remedy=msg("open a copy with its password and save it without one elsewhere"),
        ) from error
    except Exception as error:
        raise _unreadable(msg("the PDF"), error) from error


def _with_unique_names(parts: list[EmbeddedImage]) -> Iterator[EmbeddedImage]:
    """Make names unique within the file, because pictures are identified by them."""
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
    """Return one image object as an image file. Raises DecodeError."""
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


def _attachments(reader: PdfReader) -> Iterator[EmbeddedImage]:
    """Yield the attached images, and attached files that may contain images but are not read."""
    try:
        for name, stream in _attached(reader):
            if _may_contain_image(name, stream):
                yield EmbeddedImage(f"attachment {name}", partial(_attachment, name, stream))
    except Exception as error:  # noqa: BLE001 - the pages can be read all the same
        yield EmbeddedImage("attachments", partial(_refuse, error))


def _refuse(error: Exception) -> bytes:
    raise _unreadable(msg("the list of attachments"), error) from error


def _may_contain_image(name: str, stream: StreamObject) -> bool:
    try:
        head = _unpacked(stream)[:_HEAD]
    except Exception:  # noqa: BLE001 - reported when it is read
        return True
    return looks_like_image(head, name) or begins_as(head) is not None


def _attachment(name: str, stream: StreamObject) -> bytes:
    """Return an attached image file. Raises DecodeError."""
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
    # pypdf would keep the unpacked data of every stream.
    stream.decoded_self = None
    return data


def _plain(stream: StreamObject) -> StreamObject:
    """Return the image in the one form in which pypdf reads all palettes and depths: device
    colours, at most 8 bits, with Flate as the only filter."""
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
        # Palettes have been applied: what is left are inks that pypdf cannot convert.
        raise NotImplementedError(str(stream.get("/ColorSpace")))
    if image.mode not in ("1", "L", "LA", "RGB", "RGBA"):
        image = image.convert("RGB")  # PNG does not support CMYK
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _images(reader: PdfReader) -> Iterator[tuple[str, StreamObject]]:
    seen: set[int] = set()
    for number, page in enumerate(reader.pages, start=1):
        yield from _drawn(page, f"page {number}", seen)
        yield from _annotated(page, f"page {number}", seen)


def _drawn(
    holder: DictionaryObject, name: str, seen: set[int]
) -> Iterator[tuple[str, StreamObject]]:
    """Yield the images that a page, a form or a pattern can draw."""
    resources = _dictionary(holder.get("/Resources"))
    for kind, what in (("/XObject", ""), ("/Pattern", "/pattern")):  # each has names of its own
        for key, value in _dictionary(resources.get(kind)).items():
            yield from _within(value, name + what + key, seen)


def _annotated(page: PageObject, name: str, seen: set[int]) -> Iterator[tuple[str, StreamObject]]:
    """Yield the images in the appearances of annotations, which can have one for each state."""
    for number, annotation in enumerate(_array(page.get("/Annots"))):
        for key, value in _dictionary(_dictionary(annotation).get("/AP")).items():
            appearance = f"{name}/annotation {number + 1}{key}"
            yield from _within(value, appearance, seen)
            for state, other in _dictionary(value).items():
                yield from _within(other, appearance + state, seen)


def _attached(reader: PdfReader) -> Iterator[tuple[str, StreamObject]]:
    """Yield the files attached to a PDF: in its list of files, and to annotations of its pages."""
    names = _dictionary(reader.root_object.get("/Names"))
    nodes = [_dictionary(names.get("/EmbeddedFiles"))]
    known = {id(nodes[0])}
    files: list[PdfObject | None] = []
    for node in nodes:
        for kid in map(_dictionary, _array(node.get("/Kids"))):
            if id(kid) not in known:  # as in ``_within``: cycles end
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
    """Yield the object if it is an image, or the images that it can draw; each only once."""
    stream = _resolved(value)
    if not isinstance(stream, StreamObject) or id(stream) in seen:
        return
    seen.add(id(stream))  # the reader returns one object for each reference
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
