"""LLaVA-NeXT: loading, the paper's question, label scores and generated answers."""

from mayak.model.calibration import Calibration
from mayak.model.cascade import CascadeScorer
from mayak.model.generation import AnswerGenerator
from mayak.model.load import VisionLanguageModel, load_model
from mayak.model.prompt import Prompt
from mayak.model.scoring import LabelScorer

__all__ = [
    "AnswerGenerator",
    "Calibration",
    "CascadeScorer",
    "LabelScorer",
    "Prompt",
    "VisionLanguageModel",
    "load_model",
]
