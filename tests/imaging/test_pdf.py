from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import Image
from pypdf import PdfReader, PdfWriter
from pypdf.generic import (
    ArrayObject,
    ByteStringObject,
    DictionaryObject,
    NameObject,
    NumberObject,
    StreamObject,
    TextStringObject,
)

from mayak.errors import DecodeError
from mayak.i18n import render
from mayak.imaging import decode
from mayak.imaging.pdf import embedded_images


def picture(seed=4, mode="RGB"):
    rough = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(rough).resize((64, 48), Image.Resampling.BICUBIC).convert(mode)


def pdf(*pictures, **options):
    stream = io.BytesIO()
    pictures[0].save(stream, "PDF", save_all=True, append_images=pictures[1:], **options)
    return stream.getvalue()


def written(writer):
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()


def name(text):
    return NameObject(f"/{text}")


def image_object(pixels, *filters):
    """An image object of uint8 pixels, unpacked or behind filters whose work is done."""
    stream = StreamObject()
    stream.set_data(pixels)
    stream.update(
        {
            name("Type"): name("XObject"),
            name("Subtype"): name("Image"),
            name("Width"): NumberObject(64),
            name("Height"): NumberObject(48),
            name("BitsPerComponent"): NumberObject(8),
            name("ColorSpace"): name("DeviceRGB"),
        }
    )
    if filters:
        stream[name("Filter")] = ArrayObject(name(text) for text in filters)
    return stream


def holding(**entries):
    """Resources with these objects to draw."""
    objects = DictionaryObject({name(key): value for key, value in entries.items()})
    return DictionaryObject({name("XObject"): objects})


def read(data):
    return [(part.name, part.read()) for part in embedded_images(data)]


@pytest.mark.parametrize("mode", ["1", "CMYK", "L", "LA", "P", "RGB", "RGBA"])
def test_each_kind_of_picture_comes_out_as_it_was(mode):
    source = picture(mode=mode)
    expected = decode_saved(source)

    ((found, file),) = read(pdf(source))

    assert found == "page 1/image"
    assert np.abs(decode(file).pixels.astype(int) - expected).mean() < 4


def decode_saved(source):
    stream = io.BytesIO()
    source.save(stream, "TIFF")
    return decode(stream.getvalue()).pixels.astype(int)


def test_a_jpeg_is_the_stored_file_itself():
    data = pdf(picture(1), picture(2))

    found = read(data)

    assert [where for where, _ in found] == ["page 1/image", "page 2/image"]
    for _, file in found:
        assert file in data
        assert decode(file).format == "JPEG"


def test_unpacked_pixels_come_as_png_without_loss():
    writer = PdfWriter()
    page = writer.add_blank_page(100, 100)
    raw = writer._add_object(image_object(picture().tobytes()).flate_encode())
    page[name("Resources")] = holding(Im0=raw)

    ((where, file),) = read(written(writer))

    assert where == "page 1/Im0"
    assert decode(file).format == "PNG"
    assert (decode(file).pixels == np.asarray(picture())).all()


def calibrated(components):
    profile = StreamObject()
    profile[name("N")] = NumberObject(components)
    return ArrayObject([name("ICCBased"), profile])


def small(samples, bits, space, **entries):
    """The 8-bit pixels of a 3 × 2 image object with these samples."""
    writer = PdfWriter()
    stream = image_object(samples)
    sides = {"Width": NumberObject(3), "Height": NumberObject(2)}
    for key, value in (sides | {"BitsPerComponent": NumberObject(bits)} | entries).items():
        stream[name(key)] = value
    stream[name("ColorSpace")] = space
    page = writer.add_blank_page(100, 100)
    page[name("Resources")] = holding(Im0=writer._add_object(stream))
    ((_, file),) = read(written(writer))
    return decode(file).pixels


@pytest.mark.parametrize(
    "space",
    [name("DeviceGray"), calibrated(1), ArrayObject([name("CalGray"), DictionaryObject()])],
    ids=["device", "profile", "calibrated"],
)
def test_narrow_samples_are_scaled(space):
    pixels = small(bytes([0x05, 0xF0, 0xA1, 0xF0]), 4, space)

    assert pixels[:, :, 0].tolist() == [[0, 85, 255], [170, 17, 255]]


def test_16_bit_samples_keep_their_high_byte():
    colours = bytes(range(1, 19))
    doubled = bytes(value for high in colours for value in (high, 99))

    for space in (name("DeviceRGB"), calibrated(3)):
        assert small(doubled, 16, space).tobytes() == colours


@pytest.mark.parametrize(
    ("entries", "pack"),
    [
        ({}, bytes),
        ({"Filter": name("FlateDecode")}, zlib.compress),
        ({"Filter": name("ASCIIHexDecode")}, lambda samples: samples.hex().encode() + b">"),
    ],
    ids=["none", "flate", "hex"],
)
def test_a_palette_is_applied_behind_any_filter(entries, pack):
    palette = ByteStringObject(bytes([200, 60, 30, 1, 2, 3]))
    space = ArrayObject([name("Indexed"), name("DeviceRGB"), NumberObject(1), palette])

    pixels = small(pack(bytes([0, 1, 0, 1, 0, 1])), 8, space, **entries)

    assert pixels.reshape(-1, 3).tolist() == [[200, 60, 30], [1, 2, 3]] * 3


def test_tones_that_are_not_understood_are_refused_and_never_guessed():
    ink = ArrayObject([name("Separation"), name("Gold"), name("DeviceCMYK"), DictionaryObject()])

    with pytest.raises(DecodeError, match="page 1/Im0 cannot be decoded"):
        small(bytes([0x05, 0xF0, 0xA1, 0xF0]), 4, ink)


def test_an_image_on_several_pages_comes_once():
    writer = PdfWriter()
    logo = writer._add_object(image_object(picture().tobytes()))
    for _ in range(3):
        writer.add_blank_page(100, 100)[name("Resources")] = holding(Logo=logo)

    assert [where for where, _ in read(written(writer))] == ["page 1/Logo"]


def test_names_that_read_alike_are_told_apart():
    writer = PdfWriter()
    page = writer.add_blank_page(100, 100)
    form = StreamObject()
    form[name("Subtype")] = name("Form")
    form[name("Resources")] = holding(B=writer._add_object(image_object(picture(1).tobytes())))
    objects = {"A": writer._add_object(form)}
    for number, slashed in ((2, "A/B"), (3, "A/B (2)")):
        objects[slashed] = writer._add_object(image_object(picture(number).tobytes()))
    page[name("Resources")] = holding(**objects)

    found = read(written(writer))

    assert [where for where, _ in found] == [
        "page 1/A/B",
        "page 1/A/B (2)",
        "page 1/A/B (2) (2)",
    ]
    for number, (_, file) in enumerate(found, 1):
        assert (decode(file).pixels == np.asarray(picture(number))).all()


def test_images_in_forms_and_stamps_are_found_and_circles_end():
    writer = PdfWriter()
    page = writer.add_blank_page(100, 100)
    form = StreamObject()
    form[name("Subtype")] = name("Form")
    reference = writer._add_object(form)
    inner = writer._add_object(image_object(picture(1).tobytes()))
    form[name("Resources")] = holding(Im7=inner, Self=reference)
    page[name("Resources")] = holding(Fm0=reference)
    stamp = StreamObject()
    stamp[name("Resources")] = holding(Im1=writer._add_object(image_object(picture(2).tobytes())))
    looks = DictionaryObject({name("N"): writer._add_object(stamp)})
    page[name("Annots")] = ArrayObject([DictionaryObject({name("AP"): looks})])

    found = dict(read(written(writer)))

    assert list(found) == ["page 1/Fm0/Im7", "page 1/annotation 1/N/Im1"]
    assert (decode(found["page 1/annotation 1/N/Im1"]).pixels == np.asarray(picture(2))).all()


@pytest.mark.parametrize("length", [1, 4, 500])
def test_a_pdf_with_something_before_its_header_is_read(length):
    data = pdf(picture(1), picture(2))

    assert read(b"\n" * length + data) == read(data)


def attached(writer, key, content):
    """A file in a PDF, of which nothing leads to it yet."""
    stream = StreamObject()
    stream.set_data(content)
    file = writer._add_object(stream.flate_encode())
    entries = {"Type": name("Filespec"), "UF": TextStringObject(key), "F": TextStringObject(key)}
    entries["EF"] = DictionaryObject({name("F"): file, name("UF"): file})
    return writer._add_object(DictionaryObject({name(k): v for k, v in entries.items()}))


def jpeg(number):
    stream = io.BytesIO()
    picture(number).save(stream, "JPEG")
    return stream.getvalue()


def test_attached_images_are_found_and_what_may_hold_some_is_told():
    writer = PdfWriter()
    writer.append(PdfReader(io.BytesIO(pdf(picture(1)))))
    writer.add_attachment("사진/x.jpg", jpeg(2))
    writer.add_attachment("notes.xml", b"<notes/>")
    writer.add_attachment("inner.pdf", pdf(picture(9)))
    note = DictionaryObject({name("FS"): attached(writer, "사진/x.jpg", jpeg(3))})
    writer.pages[0][name("Annots")] = ArrayObject([note])

    page, document, first, second = embedded_images(written(writer))

    assert page.name == "page 1/image"
    assert (first.name, first.read()) == ("attachment 사진/x.jpg", jpeg(2))
    assert (second.name, second.read()) == ("attachment 사진/x.jpg (2)", jpeg(3))
    assert document.name == "attachment inner.pdf"
    with pytest.raises(DecodeError, match="PDF attached to a PDF, which is not looked into"):
        document.read()


def test_attachments_lie_in_trees_and_circles_end():
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    leaf, root = DictionaryObject(), DictionaryObject()
    files = [attached(writer, f"{number}.jpg", jpeg(number)) for number in range(3)]
    leaf[name("Names")] = ArrayObject(x for file in files for x in (TextStringObject("a"), file))
    below = writer._add_object(root)
    leaf[name("Kids")] = ArrayObject([below])
    root[name("Kids")] = ArrayObject([writer._add_object(leaf), below, NumberObject(1)])
    writer.root_object[name("Names")] = DictionaryObject({name("EmbeddedFiles"): below})

    found = read(written(writer))

    assert found == [(f"attachment {number}.jpg", jpeg(number)) for number in range(3)]


def test_damaged_attachments_cost_themselves():
    writer = PdfWriter()
    writer.append(PdfReader(io.BytesIO(pdf(picture(1)))))
    writer.add_attachment("x.jpg", jpeg(2))
    good = attached(writer, "y.jpg", jpeg(3))
    bad = good.get_object()[name("EF")][name("F")].get_object()
    bad[name("Filter")] = name("NoSuchDecode")
    writer.pages[0][name("Annots")] = ArrayObject([DictionaryObject({name("FS"): good})])

    page, whole, broken = embedded_images(written(writer))

    assert decode(page.read()).format == decode(whole.read()).format == "JPEG"
    with pytest.raises(DecodeError, match=r"y\.jpg cannot be decoded .*NoSuchDecode"):
        broken.read()


def test_a_page_without_pictures_has_none():
    writer = PdfWriter()
    writer.add_blank_page(100, 100)

    assert read(written(writer)) == []


def test_what_cannot_be_decoded_costs_itself():
    writer = PdfWriter()
    page = writer.add_blank_page(100, 100)
    page[name("Resources")] = holding(
        Im0=writer._add_object(image_object(b"nothing known", "NoSuchDecode")),
        Im1=writer._add_object(image_object(picture().tobytes())),
    )

    bad, good = embedded_images(written(writer))

    with pytest.raises(DecodeError, match=r"page 1/Im0 cannot be decoded .*NoSuchDecode"):
        bad.read()
    assert (decode(good.read()).pixels == np.asarray(picture())).all()


def test_a_password_is_said_to_be_missing_and_an_empty_one_is_none():
    locked, owned = PdfWriter(), PdfWriter()
    for writer, password in ((locked, "secret"), (owned, "")):
        writer.append(PdfReader(io.BytesIO(pdf(picture()))))
        writer.encrypt(password, "owner", algorithm="RC4-128")

    with pytest.raises(DecodeError, match="the PDF is encrypted"):
        read(written(locked))
    ((_, file),) = read(written(owned))
    assert decode(file).format == "JPEG"


@pytest.mark.parametrize("kept", [0, 5, 60, 0.5, 0.9])
def test_a_damaged_pdf_is_an_error(kept, capfd):
    data = pdf(picture())
    cut = data[: kept if isinstance(kept, int) else int(len(data) * kept)]

    with pytest.raises(DecodeError, match="the PDF cannot be decoded"):
        read(cut)
    assert capfd.readouterr() == ("", "")


def test_a_jpeg_is_no_pdf():
    stream = io.BytesIO()
    picture().save(stream, "JPEG")

    with pytest.raises(DecodeError, match="the PDF cannot be decoded"):
        read(stream.getvalue())


def test_in_korean():
    with pytest.raises(DecodeError) as raised:
        read(b"%PDF-1.7\n")
    assert "디코딩할 수 없습니다" in render(raised.value.message, "ko")
