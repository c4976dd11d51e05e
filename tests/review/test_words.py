"""The page's texts: English in the scripts, and each text that is asked for is in their table."""

import re
from importlib.resources import files

STATIC = files("mayak.review") / "static"
SCRIPTS = {
    entry.name: entry.read_text(encoding="utf-8")
    for entry in STATIC.iterdir()
    if entry.name.endswith(".js")
}
KEYS = set(re.findall(r'^  "?([\w-]+)"?: ', SCRIPTS["words.js"], re.MULTILINE))


def test_every_text_that_is_asked_for_is_in_the_table():
    asked = {
        key
        for name, script in SCRIPTS.items()
        if name != "words.js"
        for key in re.findall(r'\bt\("([\w-]+)"', script)
    }
    assert len(asked) > 80
    assert asked <= KEYS


def test_the_scripts_hold_english_alone():
    """The other languages are in the catalogue, which has tests of its own."""
    for name, script in SCRIPTS.items():
        assert not re.search("[가-힣]", script), name


def test_no_script_writes_markup_or_runs_text():
    for name, script in SCRIPTS.items():
        for forbidden in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "eval(",
            "document.write",
        ):
            assert forbidden not in script, name


def test_vendored_libraries_have_their_licences():
    vendored = STATIC / "vendor"
    names = {entry.name for entry in vendored.iterdir()}
    for name in names:
        if name.endswith(".js"):
            assert f"{name.removesuffix('.js')}-LICENSE.txt" in names
            text = (vendored / name).read_text(encoding="utf-8")
            assert "sourceMappingURL" not in text
            assert set(re.findall(r'from ?"([^"]+)"', text)) <= {f"./{n}" for n in names}
