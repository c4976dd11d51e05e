"""The final folder of a run: adapter, processor and record, loadable with plain PEFT."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from peft import PeftModel

from mayak.dataset.training_images import TRAINING_IMAGES, TrainingImages
from mayak.files import finish_replacing, json_bytes, temporary_folder, unfinished_folders
from mayak.model import VisionLanguageModel
from mayak.training.checkpoint import unwritable

RUN = "run.json"


def write_final(
    folder: Path,
    model: PeftModel,
    vlm: VisionLanguageModel,
    record: dict[str, Any],
    images: TrainingImages,
) -> None:
    """Write the adapter, the processor, ``run.json`` and the training record, completely or not at
    all.

    Raises:
        ConfigError: the disk is full or the folder cannot be written.
    """
    try:
        finish_replacing(folder)  # of a run that was killed
        for left in unfinished_folders(folder):
            shutil.rmtree(left, ignore_errors=True)
        with temporary_folder(folder, overwrite=True) as temporary:
            # The vocabulary is unchanged; "auto" would ask the hub about the base model's.
            model.save_pretrained(str(temporary), save_embedding_layers=False)
            vlm.processor.save_pretrained(str(temporary))
            (temporary / "README.md").write_text(_card(record), encoding="utf-8")
            (temporary / TRAINING_IMAGES).write_bytes(json_bytes(images.as_json()))
            (temporary / RUN).write_bytes(json_bytes(record))
    except OSError as error:
        raise unwritable(folder, error) from error


def _card(record: dict[str, Any]) -> str:
    """Return a model card, in place of PEFT's empty form."""
    base, best = record["base_model"], record["best"]
    return f"""---
base_model: {base["name"]}
library_name: peft
---
# LoRA adapter for {base["name"]}

Made by `mayak train`; `{RUN}` records everything that it was made from.

- base model: {base["identity"]}
- training images: {record["dataset"]["train"]["images"]}
- their hashes (SHA-256, PDQ): `{TRAINING_IMAGES}`, digest {record["training_images"]}
- validation accuracy: {best["accuracy"]:.4f} after step {best["step"]} of {record["steps"]}

```python
from peft import PeftModel
from transformers import AutoProcessor, LlavaNextForConditionalGeneration

base = LlavaNextForConditionalGeneration.from_pretrained(BASE_MODEL)
model = PeftModel.from_pretrained(base, FOLDER)
processor = AutoProcessor.from_pretrained(FOLDER)
```

`mayak evaluate` measures it on the test split. Its label of an image is only a suggestion that a
person must check.
"""
