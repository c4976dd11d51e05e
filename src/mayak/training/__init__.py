"""QLoRA fine-tuning: from a data set and a configuration to an adapter and its record."""

from mayak.training.checkpoint import Validation
from mayak.training.fit import train
from mayak.training.result import TrainResult

__all__ = ["TrainResult", "Validation", "train"]
