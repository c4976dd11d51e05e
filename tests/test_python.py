"""The Python examples of the documentation, run as they stand."""

import io
import re
import zipfile
from pathlib import Path

from PIL import Image

PAGE = Path(__file__).parent.parent / "docs" / "python.md"


def test_the_examples_run(tmp_path, monkeypatch, capsys):
    buffer = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").save(buffer, "PNG")
    with zipfile.ZipFile(tmp_path / "phone.zip", "w") as archive:
        archive.writestr("사진.png", buffer.getvalue())
        archive.writestr("notes.txt", "no image")
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S):
        exec(compile(block, "python.md", "exec"), names)  # noqa: S102
    said = capsys.readouterr().out
    assert re.search(r"^phone\.zip/사진\.png [0-3] \(", said, re.M)
    assert "phone.zip/notes.txt not an image" in said
    assert re.search(r"^1 [0-3] phone\.zip/사진\.png False$", said, re.M)
    assert said.endswith("[]\n")
