"""The shipped fonts are found by name, each with a licence beside it."""

from __future__ import annotations

import base64
import io
import re
import unicodedata

import pytest
from fontTools.ttLib import TTFont
from PIL import ImageFont

from mayak.errors import ConfigError
from mayak.fonts import DEFAULT, DEFAULT_BOLD, FALLBACK, FONTS, MARK, font_path, with_fonts


@pytest.mark.parametrize("name", FONTS)
def test_a_font_opens_and_draws_hangul(name):
    face = ImageFont.truetype(str(font_path(name)), 40)

    assert bytes(face.getmask("마")) != bytes(face.getmask("약"))
    assert face.getlength("마약") > 40


def test_the_defaults_are_shipped():
    assert {DEFAULT, DEFAULT_BOLD, FALLBACK} <= set(FONTS)
    assert font_path().name == "Pretendard-Regular.otf"


def test_licences_are_next_to_the_fonts():
    texts = [path.read_text("utf-8") for path in font_path().parent.glob("*LICENSE*")]

    assert len(texts) == 3
    assert all("SIL OPEN FONT LICENSE" in text.upper() for text in texts)


def test_an_unknown_font_names_the_ones_there_are():
    with pytest.raises(ConfigError) as caught:
        font_path("Batang")

    assert "Batang" in str(caught.value)
    assert "NanumGothic" in caught.value.remedy


def test_a_page_carries_the_glyphs_that_it_needs():
    page = f"<style>{MARK}</style><p>마약 원본</p>"
    whole = with_fonts(page)
    assert whole == with_fonts(page)
    faces = re.findall(r"data:font/woff;base64,([A-Za-z0-9+/=]+)", whole)
    assert len(faces) == 2
    for face in faces:
        data = base64.b64decode(face)
        assert data.startswith(b"wOFF") and len(data) < 20_000
        shown = TTFont(io.BytesIO(data)).getBestCmap()
        assert set(map(ord, "마약원본")) <= shown.keys() and ord("꿰") not in shown


def test_a_page_carries_the_syllables_of_a_name_whose_letters_stand_apart():
    name = unicodedata.normalize("NFD", "한강공원")
    whole = with_fonts(f"<style>{MARK}</style><p>{name}</p>")
    for face in re.findall(r"data:font/woff;base64,([A-Za-z0-9+/=]+)", whole):
        shown = TTFont(io.BytesIO(base64.b64decode(face))).getBestCmap()
        assert set(map(ord, "한강공원")) <= shown.keys()
