"""The four labels and the paper's question to the model."""

from __future__ import annotations

from dataclasses import dataclass

from mayak.i18n import Message, msg


@dataclass(frozen=True, slots=True)
class Label:
    """One category: its index, its folder under ``raw_data/`` and its name."""

    index: int
    folder: str
    name: Message

    @property
    def answer(self) -> str:
        """The model's answer: the digit of the index."""
        return str(self.index)


LABELS = (
    Label(0, "0_irrelevant", msg("irrelevant")),
    Label(1, "1_chat_history", msg("drug conversation")),
    Label(2, "2_transaction_place", msg("transaction place")),
    Label(3, "3_drug_raw", msg("drug itself")),
)

UNCLASSIFIABLE = -1
"""Prediction for an answer without a clear label (분류불가)."""

QUESTION = (
    "이 이미지는 다음 중 어떤 유형입니까? "
    "(0: 관련 없음, 1: 마약 대화 내역 사진, 2: 마약 거래 장소, 3: 마약 원본)"
)
"""The paper's question, to the letter. A model trained on it gets no other question."""
