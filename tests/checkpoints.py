"""Checkpoints with random weights in the exact shape of LLaVA-1.6-Mistral-7B, or in a smaller one.

Speed, memory, token ids and equality with the stock model do not depend on the published weights.
Benchmarks and tests build checkpoint folders here that every command can load.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import (
    CLIPVisionConfig,
    LlamaTokenizer,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessor,
    LlavaNextProcessor,
    MistralConfig,
    PreTrainedTokenizerBase,
)

CHAT_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<image>\\n' }}{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{{ ' [/INST]' }}{% endif %}{% endfor %}"
)
"""A user turn as the published checkpoint renders it: ``[INST] <image>\\n… [/INST]``."""


def published_config() -> LlavaNextConfig:
    """Configuration of ``llava-hf/llava-v1.6-mistral-7b-hf``: 7.57 G parameters."""
    vision = CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        image_size=336,
        patch_size=14,
        projection_dim=768,
    )
    text = MistralConfig(
        vocab_size=32064,
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=32768,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        sliding_window=None,
        rms_norm_eps=1e-5,
    )
    return LlavaNextConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=32000,
        pad_token_id=32001,
        tie_word_embeddings=False,
    )


def published_tokenizer() -> PreTrainedTokenizerBase:
    """Return Mistral's v1 tokenizer from ``mistral-common``, with the checkpoint's two additions
    (``<image>`` 32000, ``<pad>`` 32001).

    Raises:
        ImportError: mistral-common is not installed.
    """
    import mistral_common

    shipped = Path(mistral_common.__file__).parent / "data" / "tokenizer.model.v1"
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(shipped, Path(folder) / "tokenizer.model")
        tokenizer = LlamaTokenizer.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            legacy=True,
            add_bos_token=True,
        )
    tokenizer.add_special_tokens({"extra_special_tokens": ["<image>"]})
    tokenizer.add_special_tokens({"pad_token": "<pad>"})
    # Saving loses it, and the reloaded tokenizer would put no blank after the image's token.
    tokenizer.init_kwargs["legacy"] = True
    tokenizer.padding_side = "left"
    return tokenizer


def processor_for(
    config: LlavaNextConfig, tokenizer: PreTrainedTokenizerBase
) -> LlavaNextProcessor:
    """Return the processor for a configuration, with its tile side, patch size and grid."""
    side = config.vision_config.image_size
    return LlavaNextProcessor(
        image_processor=LlavaNextImageProcessor(
            size={"shortest_edge": side},
            crop_size={"height": side, "width": side},
            image_grid_pinpoints=config.image_grid_pinpoints,
        ),
        tokenizer=tokenizer,
        patch_size=config.vision_config.patch_size,
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def random_checkpoint(
    folder: Path,
    config: LlavaNextConfig,
    processor: LlavaNextProcessor,
    *,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    seed: int = 0,
) -> None:
    """Write a checkpoint folder with this configuration and seeded random weights."""
    torch.manual_seed(seed)
    previous = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model: Any = LlavaNextForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(previous)
    model.save_pretrained(folder, max_shard_size="4GB")
    processor.save_pretrained(folder)
