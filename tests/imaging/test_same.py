"""Copies of a picture are the same picture; what differs in a word is not."""

import io
from itertools import combinations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from chat_samples import chat, copies, jpeg
from mayak.imaging.same import ComparisonThumbnail, same_picture
from mayak.imaging.thumbnails import thumbnail
from mayak_synthetic.scenes import render

TEXTS = ("좌표 보낼게", "ㅇㅋ", "다음엔 떨 두개", "네 사장님")


def look(image):
    return ComparisonThumbnail.of(thumbnail(image), max(image.size))


def opened(data):
    return Image.open(io.BytesIO(data)).convert("RGB")


def scene(subject, seed):
    return render(subject, seed, "base").image.convert("RGB")


def grainy(seed, size=(4000, 3000)):
    """A photo: soft shapes and the grain of a sensor, nothing flat."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    soft = np.asarray(Image.fromarray(coarse).resize((1000, 750), Image.Resampling.BICUBIC))
    grain = random.normal(0, 12, soft.shape)
    pixels = (soft + grain).clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


@pytest.mark.parametrize(
    "picture",
    [chat(TEXTS), scene("street", 3), scene("electric_meter", 5)],
    ids=["chat", "street", "meter"],
)
def test_a_picture_that_was_saved_again_is_the_same(picture):
    looks = [look(picture)] + [
        look(opened(data)) for name, data in copies(picture).items() if "size" not in name
    ]

    assert all(same_picture(one, other) for one, other in combinations(looks, 2))


@pytest.mark.parametrize("size", [(1080, 2340), (720, 1560), (540, 1170)])
def test_a_chat_is_the_same_at_half_its_size(size):
    picture = chat(TEXTS).resize(size, Image.Resampling.LANCZOS)

    for name, data in copies(picture).items():
        assert same_picture(look(picture), look(opened(data))), name


@pytest.mark.parametrize(
    ("old", "new"),
    [("떨", "떡"), ("두개", "세개"), ("ㅇㅋ", "ㄴㄴ"), ("좌표", "숙제"), ("네", "예")],
)
def test_a_chat_with_another_word_is_not(old, new):
    picture = chat(TEXTS)
    other = chat([text.replace(old, new) for text in TEXTS])

    assert not same_picture(look(picture), look(other))
    assert not same_picture(look(other), look(picture))
    for name, data in copies(picture).items():
        assert not same_picture(look(opened(data)), look(other)), name


def test_another_colour_of_the_same_brightness_is_another_picture():
    picture = scene("tablets", 4)
    planes = picture.convert("YCbCr").split()
    red = planes[2].point(lambda value: min(value + 40, 255))
    other = Image.merge("YCbCr", (*planes[:2], red)).convert("RGB")

    assert same_picture(look(picture), look(opened(jpeg(picture))))
    assert not same_picture(look(picture), look(other))


def test_a_whole_conversation_in_one_picture_is_never_the_same_as_another():
    strip = Image.new("RGB", (540, 9000), (186, 206, 224))
    for top in range(0, 9000, 1170):
        strip.paste(chat(TEXTS), (0, top))

    assert not same_picture(look(strip), look(opened(jpeg(strip))))


def test_a_screen_too_large_for_its_thumbnail_is_never_the_same_but_a_photo_may_be():
    screen = Image.new("RGB", (3840, 2160), (240, 240, 240))
    ImageDraw.Draw(screen).rectangle((200, 200, 1900, 1200), fill=(20, 60, 120))
    photo = grainy(1)

    assert not same_picture(look(screen), look(opened(jpeg(screen))))
    assert same_picture(look(photo), look(opened(jpeg(photo))))
    assert same_picture(look(photo), look(opened(jpeg(photo.resize((960, 720))))))
    assert not same_picture(look(photo), look(photo.resize((640, 480))))


def test_what_can_be_read_in_one_alone_is_not_the_same():
    picture = chat(TEXTS).resize((1080, 2340))

    assert same_picture(look(picture), look(picture.resize((540, 1170))))
    assert not same_picture(look(picture), look(picture.resize((270, 585))))


def test_a_picture_of_another_shape_is_not_the_same():
    picture = scene("street", 3)
    cut = picture.crop((0, 0, picture.width, picture.height - 20))

    assert not same_picture(look(picture), look(cut))


@pytest.mark.parametrize("moved", [0.01, 0.02])
def test_a_hand_that_moved_makes_another_picture(moved):
    picture = scene("street", 3)
    width, height = picture.width - 20, picture.height - 20
    left, top = round(picture.width * moved), round(picture.height * moved)

    first = picture.crop((0, 0, width, height))
    second = picture.crop((left, top, left + width, top + height))

    assert not same_picture(look(first), look(second))


def test_what_is_not_a_thumbnail_is_refused():
    for data in (b"", b"\xff\xd8 not a picture", jpeg(Image.new("RGB", (400, 300)))):
        with pytest.raises((OSError, ValueError)):
            ComparisonThumbnail.of(data, 400)
    png = io.BytesIO()
    Image.new("RGB", (40, 30)).save(png, "PNG")
    with pytest.raises(OSError):
        ComparisonThumbnail.of(png.getvalue(), 40)
