"""What cannot be seen in a name is spelt out, in the same way in the terminal, report and page."""

import unicodedata

import pytest

from mayak.names import is_visible, printable, storable
from name_samples import SPELT


@pytest.mark.parametrize("kind", SPELT)
def test_what_cannot_be_seen_is_spelt_out_and_nothing_else(kind):
    text, shown = SPELT[kind]
    assert printable(text) == shown


def test_what_was_spelt_out_is_one_line_that_every_encoding_of_unicode_holds():
    every = "".join(map(chr, range(0x110000)))
    shown = printable(every)
    assert shown.replace("\ufe0e", "").replace("\ufe0f", "").isprintable()
    assert len(shown.encode("utf-8").decode().splitlines()) == 1


def test_no_character_of_a_category_that_is_not_drawn_is_visible():
    drawn = [c for c in map(chr, range(0x110000)) if is_visible(c) and c != " "]
    assert not {unicodedata.category(c) for c in drawn} & {
        *("Cc", "Cf", "Cn", "Co", "Cs"),
        *("Zl", "Zp", "Zs"),
    }


def test_what_a_font_lacks_is_spelt_out_too():
    assert printable("a😀b", lambda char: char != "😀") == r"a\U0001f600b"
    assert printable("❤\ufe0f", lambda char: char != "\ufe0f") == "❤\\ufe0f"


def test_a_stored_text_differs_only_where_utf_8_cannot_encode_it():
    assert storable("a\udcff\ud800\u202e\n\u3164") == "a\\udcff\\ud800\u202e\n\u3164"
    assert storable(storable("a\udcff")) == storable("a\udcff")
    assert printable(storable("a\udcff\u202e")) == printable("a\udcff\u202e")
