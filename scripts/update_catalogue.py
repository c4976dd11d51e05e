"""Bring the catalogues up to date with the texts in the code, or begin one for another language.

    python scripts/update_catalogue.py [LANGUAGE]

Texts that are new in the code are added without a wording, and those that are gone from it are
removed. With a LANGUAGE (its code, for example ja) that has no catalogue yet, it gets an empty one;
`mayak --lang` offers it from then on.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

PACKAGE = Path(__file__).parents[1] / "src" / "mayak"
LOCALE = PACKAGE / "locale"
_METHODS = [
    ("**/vendor/**", "ignore"),
    ("**.py", "python"),
    ("**.js", "javascript"),
    ("**.j2", "jinja2.ext:babel_extract"),
]
_KEYWORDS = {"msg": None, "msg_in": ((1, "c"), 2), "plural": (1, 2)}


def texts() -> Catalog:
    """Return all texts of the package, without wordings."""
    found = Catalog()
    for *_, text, _, context in extract_from_dir(PACKAGE, _METHODS, keywords=_KEYWORDS):
        found.add(text, context=context)
    return found


def path_of(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / "mayak.po"


def read(language: str) -> Catalog:
    """Return a catalogue as it is; an empty one for a language that has none."""
    path = path_of(language)
    if not path.exists():
        return Catalog(language)
    with path.open("rb") as file:
        return read_po(file, language)


def write(language: str, catalogue: Catalog) -> None:
    """Write a catalogue: sorted by the English texts, a text on one line, nothing that differs from
    day to day or when code is moved."""
    path = path_of(language)
    path.parent.mkdir(parents=True, exist_ok=True)
    head = (
        'msgid ""\nmsgstr ""\n'
        f'"Language: {language}\\n"\n'
        '"Content-Type: text/plain; charset=utf-8\\n"\n'
        f'"Plural-Forms: {catalogue.plural_forms}\\n"\n\n'
    )
    for message in catalogue:
        message.flags.clear()
    file = io.BytesIO()
    write_po(
        file,
        catalogue,
        width=0,
        no_location=True,
        omit_header=True,
        sort_output=True,
        ignore_obsolete=True,
    )
    path.write_text(head + file.getvalue().decode().strip("\n") + "\n", encoding="utf-8")


def main(asked: list[str]) -> None:
    wanted = texts()
    for language in sorted({path.name for path in LOCALE.iterdir()} | set(asked)):
        catalogue = read(language)
        catalogue.update(wanted, no_fuzzy_matching=True)
        write(language, catalogue)
        without = sum(not any(message.string or "") for message in catalogue if message.id)
        print(f"{path_of(language)}: {len(catalogue)} texts, {without} without a wording")


if __name__ == "__main__":
    main(sys.argv[1:])
