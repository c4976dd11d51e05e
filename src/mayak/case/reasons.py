"""Names and remedies for the recorded reasons of excluded files and failures."""

from __future__ import annotations

from collections.abc import Mapping

from mayak.language import tr

REASONS: Mapping[str, tuple[str, str]] = {
    # Rules of exclusion.
    "not-an-image": ("not an image", "이미지가 아님"),
    "empty": ("empty file", "빈 파일"),
    "apple-double": (
        "what a Mac keeps beside a file (AppleDouble)",
        "Mac이 파일과 함께 두는 부속 파일(AppleDouble)",
    ),
    "program": ("program that draws, never run", "그림을 그리는 프로그램(실행 안 함)"),
    "container": (
        "archive or disk image (what could be listed in it follows)",
        "압축 파일·디스크 이미지(나열할 수 있는 안의 파일은 따로 처리)",
    ),
    "document": ("document (its images are files of their own)", "문서(안의 이미지는 따로 처리)"),
    "too-small": ("smaller than the limit", "기준보다 작은 이미지"),
    "include": ("outside the paths asked for", "지정한 경로 밖"),
    "exclude": ("in a path that was left out", "제외한 경로"),
    "since": ("older than the date asked for", "지정한 날짜 이전"),
    "known-good": ("in a list of harmless files", "무해 파일 목록에 있음"),
    "SymbolicLink": ("link", "링크"),
    "SpecialFile": ("device or the like", "장치 등 특수 파일"),
    "DeletedWithoutContent": ("deleted, no content left", "삭제되어 내용이 없음"),
    # Failures.
    "Encrypted": ("encrypted", "암호화됨"),
    "Unsupported": ("format not supported", "지원하지 않는 형식"),
    "Damaged": ("damaged", "손상됨"),
    "Unreadable": ("could not be read", "읽을 수 없음"),
    "LimitExceeded": ("beyond the limits for one file", "파일 하나의 처리 한도 초과"),
    "TooLarge": ("too large", "크기 한도 초과"),
    "HashMismatch": ("not what its stored hash says", "저장된 해시와 다름"),
    "Changed": ("changed since it was read", "읽은 뒤에 변경됨"),
    "DecodeError": ("could not be decoded", "디코딩할 수 없음"),
    "GivenUp": ("given up after several crashes", "여러 번 비정상 종료되어 중단함"),
    "crashed": ("the decoder crashed", "디코더가 비정상 종료됨"),
    "too-slow": ("decoding took too long", "디코딩 시간 초과"),
    "out-of-memory": ("decoding needed too much memory", "디코딩에 필요한 메모리 초과"),
    "ModelError": ("the model failed", "모델 오류"),
    "OSError": ("could not be read", "읽을 수 없음"),
}
"""Recorded name: in English, in Korean."""


def reason(name: str) -> str:
    """Return a reason in the user's language; the recorded name if mayak does not know it."""
    return tr(*REASONS.get(name, (name, name)))


_AGAIN = (
    "run the same command again: it is tried once more",
    "같은 명령을 다시 실행하면 한 번 더 시도합니다",
)
_CONNECT = (
    "check that the medium is connected and may be read, then run the same command again",
    "매체가 연결되어 있고 읽을 권한이 있는지 확인한 뒤 같은 명령을 다시 실행하십시오",
)
_PERSON = (
    "have a person look at it with another program, on a copy",
    "사본을 다른 프로그램으로 열어 사람이 확인하십시오",
)
REMEDIES: Mapping[str, tuple[str, str]] = {
    "Encrypted": (
        "decrypt a copy with its password or key, and give that as a source of its own",
        "암호나 키로 사본을 복호화하여 별도의 원본으로 지정하십시오",
    ),
    "Unsupported": (
        "unpack a copy with another program, and give that as a source of its own",
        "다른 프로그램으로 사본을 풀어 별도의 원본으로 지정하십시오",
    ),
    "Damaged": (
        "compare it with the medium; if that holds it whole, take the copy again",
        "매체와 비교하고, 매체에 온전하게 있으면 다시 복제하십시오",
    ),
    "LimitExceeded": (
        "give what is inside as a source of its own",
        "안에 든 파일을 별도의 원본으로 지정하십시오",
    ),
    "HashMismatch": (
        "find out when it was changed; if the medium is there, take the copy again",
        "언제 변경되었는지 확인하고, 매체가 있으면 다시 복제하십시오",
    ),
    "Changed": (
        "find out what changed it, and give the source as it was",
        "변경 경위를 확인하고 원래 그대로의 원본을 지정하십시오",
    ),
    "out-of-memory": (
        "close other programs and run the same command again",
        "다른 프로그램을 닫고 같은 명령을 다시 실행하십시오",
    ),
    "Unreadable": _CONNECT,
    "OSError": _CONNECT,
    "TooLarge": _PERSON,
    "DecodeError": _PERSON,
    "GivenUp": _PERSON,
    "crashed": _AGAIN,
    "too-slow": _AGAIN,
    "ModelError": _AGAIN,
}
"""By the recorded name of a failure, in English and in Korean. None asks to alter evidence."""


def remedy(name: str) -> str | None:
    """Return what to do about a failure, in the user's language; None if nothing is known."""
    return tr(*REMEDIES[name]) if name in REMEDIES else None
