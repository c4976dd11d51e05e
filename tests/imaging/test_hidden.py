"""Pictures under transparency, which nobody sees on white."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from mayak.errors import DecodeError
from mayak.imaging import decode
from mayak.imaging.frames import other_frames
from mayak.imaging.inside import picture_inside, read_inside, uncovered
from mayak.imaging.transparency import UNDER


def scene():
    image = Image.new("RGB", (320, 240), (200, 180, 160))
    draw = ImageDraw.Draw(image)
    for left in range(0, 320, 16):
        draw.line((left, 0, 320 - left, 240), fill=(left % 255, 30, 255 - left % 255), width=3)
    draw.rectangle((40, 30, 106, 120), fill=(230, 40, 40))
    return image


def encoded(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def with_alpha(image, alpha):
    image = image.convert("RGBA")
    image.putalpha(alpha)
    return image


def sticker(under, glow=0):
    """A disc in two colours on nothing, with anti-aliased or glowing edges."""
    image = Image.new("RGB", (512, 512), under)
    draw = ImageDraw.Draw(image)
    draw.ellipse((100, 100, 400, 400), fill=(200, 40, 40))
    draw.rectangle((200, 200, 300, 300), fill=(20, 90, 200))
    alpha = Image.new("L", (2048, 2048), 0)
    ImageDraw.Draw(alpha).ellipse((400, 400, 1600, 1600), fill=255)
    alpha = alpha.resize((512, 512)).filter(ImageFilter.GaussianBlur(glow))
    return with_alpha(image, alpha)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("alpha", [0, 3])
def test_the_picture_under_the_transparency_is_had_too(kind, alpha):
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    data = encoded(with_alpha(scene(), alpha), kind, **options)

    image = decode(data)

    assert image.pixels.min() >= 250  # as a person sees it on white
    assert image.warnings == (
        "transparency laid over white",
        f"another picture is hidden ({UNDER})",
    )
    with Image.open(io.BytesIO(uncovered(data))) as hidden:
        assert np.array_equal(np.asarray(hidden), np.asarray(scene()))


def test_the_clear_part_of_a_picture_is_looked_at_for_itself():
    alpha = Image.new("L", (320, 240), 255)
    alpha.paste(0, (160, 0, 320, 240))

    image = decode(encoded(with_alpha(scene(), alpha), "PNG"))

    assert f"another picture is hidden ({UNDER})" in image.warnings


@pytest.mark.parametrize("under", ["black", "white"])
@pytest.mark.parametrize("glow", [0, 12])
@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("WEBP", {}), ("WEBP", {"quality": 40}), ("WEBP", {"lossless": True})],
)
def test_an_ordinary_sticker_hides_nothing(under, glow, kind, options):
    data = encoded(sticker(under, glow), kind, **options)

    assert decode(data).warnings == ("transparency laid over white",)
    with pytest.raises(DecodeError, match="hides no picture"):
        uncovered(data)


def test_a_palette_with_one_clear_colour_hides_nothing():
    image = Image.new("P", (64, 64), 0)
    image.putpalette([255, 0, 255, 10, 20, 30])
    image.paste(1, (16, 16, 48, 48))

    for kind in ("GIF", "PNG"):
        assert decode(encoded(image, kind, transparency=0)).warnings == (
            "transparency laid over white",
        )


def test_white_on_nothing_is_laid_over_black():
    image = Image.new("RGBA", (320, 120), (255, 255, 255, 0))
    ImageDraw.Draw(image).rectangle((100, 30, 160, 90), fill=(255, 255, 255, 255))

    shown = decode(encoded(image, "PNG"))

    assert shown.pixels[60, 130].tolist() == [255, 255, 255]
    assert shown.pixels[5, 5].tolist() == [0, 0, 0]
    assert shown.warnings == ("transparency laid over black: on white nothing would be seen",)


def test_what_shows_on_white_stays_on_white():
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    ImageDraw.Draw(image).rectangle((10, 10, 50, 50), fill=(0, 0, 0, 255))

    shown = decode(encoded(image, "PNG"))

    assert shown.pixels[0, 0].tolist() == [255, 255, 255]
    assert shown.pixels[30, 30].tolist() == [0, 0, 0]


def test_a_later_page_that_hides_a_picture_gives_both():
    pages = [Image.new("RGBA", (320, 240), (9, 9, 9, 255)), with_alpha(scene(), 0)]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])

    (page,) = other_frames(data)
    visible = decode(page.read())

    assert visible.pixels.min() == 255
    assert f"another picture is hidden ({UNDER})" in visible.warnings
    hidden = picture_inside(data, f"page 2, {UNDER}")
    with Image.open(io.BytesIO(hidden)) as image:
        assert np.array_equal(np.asarray(image), np.asarray(scene()))
    names = {"page 2", f"page 2, {UNDER}"}
    assert read_inside(data, names) == {"page 2": page.read(), f"page 2, {UNDER}": hidden}


def multiplied(image, compression):
    """A TIFF that states that its colours are multiplied with alpha (ExtraSamples 1)."""
    data = encoded(image, "TIFF", compression=compression)
    tag = b"\x52\x01\x03\x00\x01\x00\x00\x00"
    assert data.count(tag + b"\x02") == 1
    return data.replace(tag + b"\x02", tag + b"\x01")


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_tiff_stated_to_be_multiplied_with_alpha_keeps_what_is_under_it(compression):
    data = multiplied(with_alpha(scene(), 0), compression)

    image = decode(data)

    assert image.pixels.min() == 255
    assert f"another picture is hidden ({UNDER})" in image.warnings
    with Image.open(io.BytesIO(uncovered(data))) as hidden:
        assert np.array_equal(np.asarray(hidden), np.asarray(scene()))


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_tiff_multiplied_with_alpha_shows_as_one_that_is_not(compression):
    half = with_alpha(scene(), 128)
    halved = np.asarray(half).astype(int)
    halved[:, :, :3] = halved[:, :, :3] * 128 // 255
    data = multiplied(Image.fromarray(halved.astype(np.uint8)), compression)

    shown = decode(data).pixels.astype(int)

    with Image.open(io.BytesIO(data)) as other:  # divided by Pillow
        plain = decode(encoded(other.convert("RGBA"), "PNG")).pixels.astype(int)
    assert np.array_equal(shown, plain)
    assert abs(shown - decode(encoded(half, "PNG")).pixels).max() <= 2


def test_what_hides_nothing_has_no_such_picture():
    data = encoded(scene(), "PNG")

    assert read_inside(data, {UNDER}) == {}
    assert picture_inside(data, f"page 7, {UNDER}") is None


def test_black_words_on_white_are_a_picture_too():
    page = Image.new("RGB", (400, 300), "white")
    ImageDraw.Draw(page).text((40, 40), "sell ten of them tomorrow", fill="black")

    assert (
        f"another picture is hidden ({UNDER})"
        in decode(encoded(with_alpha(page, 0), "PNG")).warnings
    )
