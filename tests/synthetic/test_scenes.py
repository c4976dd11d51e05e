"""The synthetic images: repeatable, in both styles, and true to what their facts say."""

from __future__ import annotations

import io

import numpy as np
import pytest
from fontTools.ttLib import TTFont
from PIL import Image

from mayak_synthetic import canvas, chats, drop_off_marks, surfaces, wording
from mayak_synthetic.fonts import DRAWN_FONTS, font_path
from mayak_synthetic.scenes import KEY_NAMES, SUBJECTS, VOCABULARY, encode, render

STYLES = ("base", "heldout")
VERBATIM = ("messages", "texts")
SEEDS = range(6)
USED_FONTS = (
    *canvas.BASE_FONTS,
    *canvas.BASE_BOLD_FONTS,
    *canvas.HELDOUT_FONTS,
    *canvas.HELDOUT_BOLD_FONTS,
)


def drug_wordings(stages):
    """Every drug wording of one style."""
    return tuple(text for stage in wording.STAGES for text in stages[stage])


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_subject_renders_in_both_styles(subject, style):
    scene = render(subject, 3, style)

    assert scene.label == SUBJECTS[subject]
    assert scene.image.mode == "RGB"
    assert 480 <= min(scene.image.size) <= max(scene.image.size) <= 1320
    assert np.asarray(scene.image).std() > 8, "an all but empty picture"
    with Image.open(io.BytesIO(encode(scene, 3))) as file:
        assert file.format == {"jpg": "JPEG", "png": "PNG"}[scene.suffix]
        assert file.size == scene.image.size


def test_the_four_labels_have_subjects():
    assert set(SUBJECTS.values()) == {0, 1, 2, 3}


@pytest.mark.parametrize("subject", ["drug_chat", "gas_meter", "baggie", "flour"])
def test_the_same_arguments_give_the_same_bytes(subject):
    first = encode(render(subject, 5, "base"), 5)

    assert encode(render(subject, 5, "base"), 5) == first
    assert encode(render(subject, 6, "base"), 6) != first
    assert encode(render(subject, 5, "heldout"), 5) != first


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_fact_has_a_korean_name(subject):
    for style in STYLES:
        for seed in SEEDS:
            facts = render(subject, seed, style).facts
            assert set(facts) <= set(KEY_NAMES)
            assert facts["subject"] == subject
            for key, value in facts.items():
                for one in value if isinstance(value, tuple) else (value,):
                    if key in VERBATIM:
                        assert isinstance(one, str)
                    elif isinstance(one, str):
                        assert one in VOCABULARY, f"{key}: {one}"
                    else:
                        assert isinstance(one, int)
                        assert one >= 0


def test_whatever_a_drawer_may_pick_has_a_korean_name():
    kinds = (
        surfaces.GROUNDS_BASE,
        surfaces.GROUNDS_HELDOUT,
        surfaces.WALLS_BASE,
        surfaces.WALLS_HELDOUT,
        drop_off_marks.MARKS_BASE,
        drop_off_marks.MARKS_HELDOUT,
        drop_off_marks.MARK_COLOURS_BASE,
        drop_off_marks.MARK_COLOURS_HELDOUT,
        chats.DRUG_CARDS,
        chats.EVERYDAY_CARDS,
        chats.RARE_CARDS,
        (chats.OWN_THEME, *(theme.name for theme in chats.THEMES_BASE + chats.THEMES_HELDOUT)),
        tuple(SUBJECTS),
    )

    assert not [value for values in kinds for value in values if value not in VOCABULARY]


def test_the_held_out_style_shares_nothing_but_the_classes():
    apart = (
        (
            canvas.BASE_FONTS + canvas.BASE_BOLD_FONTS,
            canvas.HELDOUT_FONTS + canvas.HELDOUT_BOLD_FONTS,
        ),
        (surfaces.GROUNDS_BASE, surfaces.GROUNDS_HELDOUT),
        (surfaces.WALLS_BASE, surfaces.WALLS_HELDOUT),
        (drop_off_marks.MARK_COLOURS_BASE, drop_off_marks.MARK_COLOURS_HELDOUT),
        (
            [theme.name for theme in chats.THEMES_BASE],
            [theme.name for theme in chats.THEMES_HELDOUT],
        ),
        (drug_wordings(wording.DRUG_BASE), drug_wordings(wording.DRUG_HELDOUT)),
        (wording.EVERYDAY_BASE, wording.EVERYDAY_HELDOUT),
        (wording.MEMES_BASE, wording.MEMES_HELDOUT),
        (wording.NAMES_BASE, wording.NAMES_HELDOUT),
        (wording.NEWS_BASE, wording.NEWS_HELDOUT),
    )

    for base, heldout in apart:
        assert base
        assert heldout
        assert not set(base) & set(heldout)


def test_there_are_wordings_enough():
    assert len(set(drug_wordings(wording.DRUG_BASE))) >= 60
    assert len(set(drug_wordings(wording.DRUG_HELDOUT))) >= 40
    assert len(set(wording.EVERYDAY_BASE)) >= 60
    assert len(set(wording.EVERYDAY_HELDOUT)) >= 40


def test_no_ordinary_wording_holds_a_word_of_the_trade():
    innocent = {name: values for name, values in wording.SLOTS.items() if name in everyday_slots()}
    texts = (
        *wording.EVERYDAY_BASE,
        *wording.EVERYDAY_HELDOUT,
        *wording.EVERYDAY_THINGS,
        *wording.REMARKS,
        *(value for values in innocent.values() for value in values),
        *wording.NAMES_BASE,
        *wording.NAMES_HELDOUT,
        *wording.EVERYDAY_EVENTS,
    )

    assert not [text for text in texts for word in wording.SLANG if word in text]


def everyday_slots():
    return {
        name
        for name in wording.SLOTS
        for text in wording.EVERYDAY_BASE + wording.EVERYDAY_HELDOUT + wording.EVERYDAY_THINGS
        if f"{{{name}}}" in text
    }


@pytest.mark.parametrize("style", STYLES)
def test_ordinary_chats_are_clean_and_drug_chats_are_not(style):
    for seed in range(40):
        clean = render("ordinary_chat", seed, style).facts
        drug = render("drug_chat", seed, style).facts
        said = " ".join(clean["messages"])
        assert not [word for word in wording.SLANG if word in said]
        assert [word for word in wording.SLANG if word in " ".join(drug["messages"])]
        assert clean["count"] == len(clean["messages"])
        assert clean["talk"] == "everyday"
        assert drug["talk"] == "drug_trade"


@pytest.mark.parametrize("style", STYLES)
def test_chats_hold_several_messages_in_large_type(style):
    for seed in range(12):
        scene = render("drug_chat", seed, style)
        assert len(scene.facts["messages"]) >= 3


def test_most_places_are_marked_and_no_ordinary_scene_is():
    places = [subject for subject, label in SUBJECTS.items() if label == 2]
    told = [render(subject, seed, "base").facts["mark"] for subject in places for seed in range(6)]
    marked = sum(mark != "none" for mark in told)

    assert 0.7 * len(told) <= marked
    assert all("mark" not in render(subject, 1, "base").facts for subject in ("street", "building"))


def test_fonts_of_drawings_alone_have_a_licence():
    folder = font_path("NanumSquareR").parent
    assert set(DRAWN_FONTS) <= set(USED_FONTS)
    assert all((folder / file).is_file() for file in DRAWN_FONTS.values())
    assert "SIL OPEN FONT LICENSE" in (folder / "NANUM-LICENSE.txt").read_text("utf-8")


@pytest.mark.parametrize("name", USED_FONTS)
def test_every_font_has_the_letters_of_the_wordings(name):
    texts = [
        *drug_wordings(wording.DRUG_HELDOUT),
        *drug_wordings(wording.DRUG_BASE),
        *wording.EVERYDAY_BASE,
        *wording.EVERYDAY_HELDOUT,
        *wording.EVERYDAY_THINGS,
        *wording.REMARKS,
        *(value for values in wording.SLOTS.values() for value in values),
        "₩ bc1q… · , . : + - % ( )",
    ]
    needed = {letter for text in texts for letter in text} - {"{", "}"}
    with TTFont(font_path(name)) as font:
        missing = {letter for letter in needed if ord(letter) not in font.getBestCmap()}

    assert not missing
