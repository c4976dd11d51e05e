"""Free answers, logits in float32 and in bf16: ``python benchmarks/generating.py [--out FILE]``.

LLaVA-1.6-Mistral-7B's exact configuration with random weights, on JPEGs as in ``engine.py``. In one
process, over the same prepared batches of 4, in bf16 and then in nf4:

1. seconds of ``AnswerGenerator`` with its float32 logits and with the head in bf16, in pairs, each
   pair in the other order than the one before;
2. the first token's logits of both against float64, from the same output of the last layer;
3. how often the two largest logits are equal; how many answers are the same to the last token, and
   by how much the two tokens' float32 logits differ where an answer first changes.

Random weights do not end an answer: each has 50 tokens. Accuracy is not measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import torch

from checkpoints import processor_for, published_config, published_tokenizer
from engine import build, free, make_images, timed, to_nf4
from mayak.imaging import decode_file
from mayak.model import AnswerGenerator, VisionLanguageModel, generation

WIDE = generation._float32_logits
BATCH = 4


def head(*, wide: bool) -> None:
    """Let the generator compute logits in float32, or as the stock model does."""
    generation._float32_logits = WIDE if wide else lambda _: nullcontext()  # type: ignore[assignment]


def times(generator: AnswerGenerator, batches: list[Any], pairs: int) -> dict[str, Any]:
    """Seconds over all batches, and the ratio of each pair."""
    found: dict[bool, list[float]] = {True: [], False: []}
    for wide in (True, False):
        head(wide=wide)
        generator._run(batches[0])
    for pair in range(pairs):
        for wide in (True, False) if pair % 2 else (False, True):
            head(wide=wide)
            seconds = timed(lambda: [generator._run(batch) for batch in batches])
            found[wide].append(round(seconds, 3))
    ratios = [a / b for a, b in zip(found[True], found[False], strict=True)]
    return {
        "float32_s": found[True],
        "bf16_s": found[False],
        "ratios": [round(ratio, 4) for ratio in ratios],
        "median_ratio": round(median(ratios), 4),
    }


def generated(
    vlm: VisionLanguageModel,
    batch: Any,  # noqa: ANN401
    *,
    wide: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens (B, 50) and their float32 logits (B, 50, V)."""
    with torch.inference_mode(), WIDE(vlm.base) if wide else nullcontext():
        made = vlm.model.generate(
            **vlm.inputs(batch),
            max_new_tokens=50,
            do_sample=False,
            pad_token_id=vlm.processor.tokenizer.pad_token_id,
            output_logits=True,
            return_dict_in_generate=True,
        )
    logits = torch.stack(made.logits, dim=1)
    return made.sequences[:, -logits.shape[1] :], logits


def exact(model: Any, hidden: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
    """Logits (B, V) of the last layer's output (B, D) in float64."""
    norm = model.model.language_model.norm
    rows = hidden.double()
    scale = (rows.square().mean(dim=-1, keepdim=True) + norm.variance_epsilon).rsqrt()
    return (rows * scale * norm.weight.double()) @ model.lm_head.weight.double().T


def tied(logits: torch.Tensor) -> int:
    """At how many positions the two largest logits (…, V) are equal."""
    best, second = logits.topk(2, dim=-1).values.unbind(-1)
    return int((best == second).sum())


def agreement(vlm: VisionLanguageModel, batches: list[Any]) -> dict[str, Any]:
    """What float32 changes."""
    same = tied_wide = tied_narrow = tokens = 0
    gaps, apart, rounded = [], [], []
    for batch in batches:
        first: list[torch.Tensor] = []
        hook = vlm.base.model.language_model.norm.register_forward_pre_hook(
            lambda _, given, first=first: first.append(given[0][:, -1]) if not first else None
        )
        wide, wide_logits = generated(vlm, batch, wide=True)
        hook.remove()
        narrow, narrow_logits = generated(vlm, batch, wide=False)
        wanted = exact(vlm.base, first[0])
        apart.append(float((wide_logits[:, 0] - wanted).abs().max()))
        rounded.append(float((narrow_logits[:, 0] - wanted).abs().max()))
        tokens += wide.numel()
        tied_wide += tied(wide_logits)
        tied_narrow += tied(narrow_logits)
        length = min(wide.shape[1], narrow.shape[1])
        for row in range(len(wide)):
            changed = (wide[row, :length] != narrow[row, :length]).nonzero().flatten().tolist()
            if not changed:
                same += 1
                continue
            at = changed[0]
            chosen = wide_logits[row, at]
            gaps.append(float(chosen[wide[row, at]] - chosen[narrow[row, at]]))
    return {
        "answers": sum(len(batch["input_ids"]) for batch in batches),
        "same_to_the_last_token": same,
        "largest_gap_where_one_changes": max(gaps, default=None),
        "tokens": tokens,
        "tied_in_float32": tied_wide,
        "tied_in_bf16": tied_narrow,
        "float32_to_float64": max(apart),
        "bf16_to_float64": max(rounded),
        "first_logits_magnitude": round(float(wanted.abs().max()), 3),
    }


def main() -> None:
    """Measure, print as it goes, and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("generating.json"))
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=3)
    asked = parser.parse_args()
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name(0),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers", "bitsandbytes")},
    }
    print(json.dumps(found), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        images = [decode_file(path) for path in make_images(Path(folder) / "images", asked.images)]
    vlm = build(processor_for(published_config(), published_tokenizer()), "bf16")
    for precision in ("bf16", "nf4"):
        if precision == "nf4":
            to_nf4(vlm.model.model.language_model)
            free()
        generator = AnswerGenerator(vlm, BATCH)
        cut = range(0, len(images), BATCH)
        batches = [generator._prepare(images[start : start + BATCH]) for start in cut]
        for name, part in (
            ("times", lambda: times(generator, batches, asked.pairs)),  # noqa: B023 - called here
            ("agreement", lambda: agreement(vlm, batches)),  # noqa: B023
        ):
            found[f"{precision} {name}"] = part()
            print(precision, name, json.dumps(found[f"{precision} {name}"]), flush=True)
            asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    head(wide=True)


if __name__ == "__main__":
    main()
