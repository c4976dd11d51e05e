"""LLaVA-NeXT: loaded, asked the paper's question, and scored at the label's position."""

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
