"""The page spells names as the rest of mayak does: both run over the same texts."""

import unicodedata
from pathlib import Path

import pytest
from desk_browser import chromium

from mayak.names import is_visible, printable
from mayak.review import __file__ as package
from name_samples import SPELT

SOURCE = (Path(package).parent / "static" / "names.js").read_text(encoding="utf-8")
RUN = """async ([source, input]) => {
  const { plain } = await import("data:text/javascript," + encodeURIComponent(source));
  return input.map((codes) => plain(String.fromCodePoint(...codes)));
}"""


@pytest.fixture(scope="module")
def spelt():
    with chromium() as browser:
        page = browser.new_page()
        # As numbers: lone surrogates do not travel as text.
        yield lambda texts: page.evaluate(RUN, [SOURCE, [[*map(ord, text)] for text in texts]])


def test_each_name_is_spelt_alike(spelt):
    names = [text for text, _ in SPELT.values()]
    assert spelt(names) == [printable(name) for name in names]


def test_each_character_is_visible_in_both_or_in_neither(spelt):
    # Unicode 3.2 has those that every browser and Python know: each spells out what it does not.
    known = [
        chr(code)
        for code in range(0x110000)
        if unicodedata.ucd_3_2_0.category(chr(code)) not in ("Cn", "Co")
    ]
    shown = spelt(known)
    assert [c for c, s in zip(known, shown, strict=True) if (s == c) != is_visible(c)] == []
