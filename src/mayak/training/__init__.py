"""QLoRA fine-tuning: data set and configuration in, adapter and its record out."""

from mayak.training.checkpoint import Validation
from mayak.training.fit import TrainResult, train

__all__ = ["TrainResult", "Validation", "train"]
