"""The four labels and the paper's question to the model."""

from __future__ import annotations

from dataclasses import dataclass

from mayak.i18n import Message, msg


@dataclass(frozen=True, slots=True)
class Label:
    """One category: its index, its folder under ``raw_data/`` and its names."""

    index: int
    folder: str
    paper_name: str
    """The paper's name, to the letter: the question contains it, and reports cite it once."""
    name: Message
    """The name on screens and in reports. Its Korean is worded apart from the paper's name, which
    reads as if the drug had been identified."""

    @property
    def answer(self) -> str:
        """The model's answer: the digit of the index."""
        return str(self.index)


LABELS = (
    Label(0, "0_irrelevant", "관련 없음", msg("irrelevant")),
    Label(1, "1_chat_history", "마약 대화 내역 사진", msg("drug conversation")),
    Label(2, "2_transaction_place", "마약 거래 장소", msg("transaction place")),
    Label(3, "3_drug_raw", "마약 원본", msg("drug itself")),
)

UNCLASSIFIABLE = -1
"""Prediction for an answer without a clear label (분류불가)."""


def label_name(index: int) -> str:
    """Return the name of a label, or of ``UNCLASSIFIABLE``."""
    if index == UNCLASSIFIABLE:
        return msg("not classifiable")
    return LABELS[index].name


def numbered_label(index: int, *, is_tied: bool = False) -> str:
    """Return a label's index and name, with a mark if another label has the same score."""
    return f"{index} " + LABELS[index].name + (msg(" (tied)") if is_tied else "")


_OPTIONS = ", ".join(f"{label.answer}: {label.paper_name}" for label in LABELS)
QUESTION = f"이 이미지는 다음 중 어떤 유형입니까? ({_OPTIONS})"
"""The paper's question, to the letter. A model trained on it gets no other question."""
