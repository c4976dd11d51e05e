"""The shipped Korean fonts, so that nothing depends on what the system has."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from mayak.errors import ConfigError
from mayak.language import tr

FONTS = {
    "Pretendard-Regular": "Pretendard-Regular.otf",
    "Pretendard-Bold": "Pretendard-Bold.otf",
    "NanumGothic": "NanumGothic.ttf",
    "NanumSquareR": "NanumSquareR.ttf",
    "NanumSquareB": "NanumSquareB.ttf",
    "NanumSquareRoundR": "NanumSquareRoundR.ttf",
    "NanumSquareRoundB": "NanumSquareRoundB.ttf",
    "NanumGothicCoding": "NanumGothicCoding.ttf",
}
"""Name to file name; all hold the 11,172 Hangul syllables."""

DEFAULT = "Pretendard-Regular"
DEFAULT_BOLD = "Pretendard-Bold"
FALLBACK = "NanumGothic"


def font_path(name: str = DEFAULT) -> Path:
    """The file of a shipped font. Raises ConfigError for an unknown name or a missing file."""
    if name not in FONTS:
        raise ConfigError(
            tr(
                f"no shipped font is called {name!r}",
                f"{name!r}(이)라는 글꼴은 포함되어 있지 않습니다",
            ),
            remedy=tr(
                f"choose one of {', '.join(FONTS)}", f"다음 중에서 고르십시오: {', '.join(FONTS)}"
            ),
        )
    path = Path(str(files(__name__))) / FONTS[name]
    if not path.is_file():
        raise ConfigError(
            tr(f"the font file {path} is missing", f"글꼴 파일 {path}이(가) 없습니다"),
            remedy=tr("install mayak again", "mayak을 다시 설치하십시오"),
        )
    return path
