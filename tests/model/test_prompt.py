"""Token ids with the real Mistral tokenizer, written out by hand (piece by piece, as the
SentencePiece model itself splits the text)."""

import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoProcessor, AutoTokenizer, PreTrainedTokenizerFast

from checkpoints import processor_for, published_config, published_tokenizer
from mayak.errors import ModelError
from mayak.model.prompt import Prompt, ask, token_counts
from model_folder import decoded, tiny_config

BOS, IMAGE, PAD, EOS, BLANK = 1, 32000, 32001, 2, 28705
OPEN = [733, 16289, 28793, BLANK]  # "[INST] "
# fmt: off
QUESTION = [
    BLANK, 13,                                              # the line's end after the image
    29015, BLANK, 29015, 29967, 29161, 29175, BLANK,        # 이 이미지는
    29043, 29881, BLANK, 30027, BLANK,                      # 다음 중
    29433, 238, 153, 167, BLANK,                            # 어떤 (떤 in bytes)
    30127, 30498, 29429, 29194, 30578, 28804,               # 유형입니까?
    325, 28734, 28747, BLANK, 30224, 31608, BLANK, 29963, 29881, 28725, BLANK,     # (0: 관련 없음,
    28740, 28747, BLANK, 30103, 31160, BLANK, 29634, 29731, BLANK, 29911, 30603, # 1: 마약 대화 내역
    BLANK, 29315, 30345, 28725, BLANK,                                             # 사진,
    28750, 28747, BLANK, 30103, 31160, BLANK, 30013, 29889, BLANK, 29747, 29566, # 2: 마약 거래 장소
    28725, BLANK,
    28770, 28747, BLANK, 30103, 31160, BLANK, 29816, 30535, 28731,                 # 3: 마약 원본)
    733, 28748, 16289, 28793,                                                      # [/INST]
]
# fmt: on
DIGITS = [28734, 28740, 28750, 28770]


@pytest.fixture(scope="module")
def tokenizer():
    return published_tokenizer()


@pytest.fixture(scope="module")
def processor(tokenizer):
    return processor_for(tiny_config(), tokenizer)


@pytest.fixture(scope="module")
def prompt(processor):
    return Prompt.of(processor)


def test_the_label_follows_a_blank(prompt):
    assert prompt.question_ids == (BOS, *OPEN, IMAGE, *QUESTION)
    assert prompt.lead_ids == (BLANK,)
    assert prompt.label_ids == tuple(DIGITS)
    assert prompt.end_id == EOS


def test_a_saved_checkpoint_asks_with_the_same_ids(model_folder, prompt):
    saved = Prompt.of(AutoProcessor.from_pretrained(model_folder))
    assert saved == prompt
    assert saved.digest == prompt.digest


def test_asked_batch_to_the_id(processor, prompt):
    # 112-pixel tiles of 8 × 8 patches. 100 × 100: 64 for the whole, 8 rows of 8 and a line end.
    # 300 high × 100 wide: 64, and a grid of 16 × 8, where the image takes 16 × 6: 16 rows of 7.
    images = [decoded(100, 100), decoded(300, 100)]
    batch = ask(processor, prompt, images, prompt.lead_ids)
    counts = [64 + 8 * 9, 64 + 16 * 7]
    assert batch["input_ids"].tolist() == [
        [PAD] * 40 + [BOS, *OPEN] + [IMAGE] * counts[0] + QUESTION + [BLANK],
        [BOS, *OPEN] + [IMAGE] * counts[1] + QUESTION + [BLANK],
    ]
    assert batch["attention_mask"].tolist() == [[0] * 40 + [1] * 220, [1] * 260]
    assert batch["image_sizes"].tolist() == [[100, 100], [300, 100]]
    without = ask(processor, prompt, images, ())["input_ids"]
    assert torch.equal(without, batch["input_ids"][:, :-1])


def test_an_answer_is_blank_digit_and_end(prompt):
    assert [prompt.answer_ids(label) for label in range(4)] == [
        (BLANK, digit, EOS) for digit in DIGITS
    ]


@pytest.mark.parametrize(
    ("height", "width", "count"),
    [
        (4000, 3000, 2352),
        (3000, 4000, 2340),
        (2400, 1080, 1926),
        (336, 336, 1176),
        (672, 672, 2928),
    ],
)
def test_image_tokens_of_the_published_shape_are_never_cut(tokenizer, height, width, count):
    processor = processor_for(published_config(), tokenizer)
    image = decoded(height, width)
    assert token_counts(processor, [image]) == [count]
    if height == 672:
        ids = ask(processor, Prompt.of(processor), [image], ())["input_ids"]
        assert (ids == IMAGE).sum() == count


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 3000), (3000, 1), (2, 5), (50, 4000)])
def test_extreme_shapes_are_counted_as_they_are_tokenised(processor, prompt, height, width):
    image = decoded(height, width)
    ids = ask(processor, prompt, [image], ())["input_ids"]
    assert [(ids == IMAGE).sum().item()] == token_counts(processor, [image])


def test_a_start_token_in_the_template_is_not_doubled(tokenizer, prompt):
    processor = processor_for(tiny_config(), tokenizer)
    processor.chat_template = "{{ bos_token }}" + processor.chat_template
    assert Prompt.of(processor).question_ids == prompt.question_ids


TURNS = (
    "{% for message in messages %}{{ OPEN + message['role'] + CLOSE }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<image>\\n' }}{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{{ END }}{% endfor %}{{ OPEN + 'assistant' + CLOSE }}"
)


def with_turns(tokenizer, *, opened, closed, end):
    """The processor of a model whose turns are marked otherwise than Mistral's."""
    template = TURNS
    for name, text in (("OPEN", opened), ("CLOSE", closed), ("END", end)):
        template = template.replace(name, repr(text))
    processor = processor_for(tiny_config(), tokenizer)
    processor.chat_template = template
    return processor


def test_the_line_end_after_chatmls_header_stays():
    """As LLaVA-1.6-34B has it: the answer follows the line end, without a blank."""
    tokenizer = published_tokenizer()
    marks = ["<image>", "<|im_start|>", "<|im_end|>"]
    tokenizer.add_special_tokens({"extra_special_tokens": marks})
    start, end, user, assistant, line = 32002, 32003, 2188, 13892, 13
    processor = with_turns(tokenizer, opened="<|im_start|>", closed="\n", end="<|im_end|>\n")
    prompt = Prompt.of(processor)
    question = QUESTION[:-4]  # up to the end of the user's turn
    ids = (BOS, start, user, line, IMAGE, *question, end, BLANK, line, start, assistant, line)
    assert prompt.text.endswith("<|im_start|>assistant\n")
    assert prompt.question_ids == ids
    assert (prompt.lead_ids, prompt.label_ids) == ((), tuple(DIGITS))
    assert prompt.answer_ids(3) == (DIGITS[3], EOS)
    batch = ask(processor, prompt, [decoded(100, 100)], prompt.lead_ids)
    assert batch["input_ids"][0, -1] == line


def byte_pairs():
    """A tokenizer of Llama 3's kind: bytes, digits apart, two line ends as one token."""
    letters = pre_tokenizers.ByteLevel.alphabet()
    vocabulary = {letter: number for number, letter in enumerate(sorted(letters))}
    line = "\u010a"  # how byte-level tokenizers write a line end
    vocabulary[2 * line] = 256
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[(line, line)]))
    digits = pre_tokenizers.Split(Regex(r"\d|\n+|[^\d\n]+"), "isolated")
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [digits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    inner.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner)
    tokenizer.add_special_tokens(dict(eos_token="<|eot_id|>", pad_token="<pad>"))  # noqa: C408, S106
    marks = ["<image>", "<|start_header_id|>", "<|end_header_id|>"]
    tokenizer.add_special_tokens({"extra_special_tokens": marks})
    tokenizer.image_token = marks[0]
    return tokenizer, vocabulary


def test_the_two_line_ends_after_llama_3s_header_stay():
    """As LLaVA-NeXT on Llama 3 has it."""
    tokenizer, vocabulary = byte_pairs()
    opened, closed = "<|start_header_id|>", "<|end_header_id|>\n\n"
    prompt = Prompt.of(with_turns(tokenizer, opened=opened, closed=closed, end="<|eot_id|>"))
    start, end, turn = tokenizer.convert_tokens_to_ids([opened, closed[:-2], "<|eot_id|>"])
    assistant = [vocabulary[letter] for letter in "assistant"]
    assert prompt.question_ids[-13:] == (turn, start, *assistant, end, 256)
    assert prompt.question_ids[:2] == (start, vocabulary["u"])
    assert prompt.lead_ids == ()
    assert prompt.label_ids == tuple(vocabulary[digit] for digit in "0123")
    assert prompt.end_id == turn


def test_a_processor_without_a_template_is_refused(tokenizer):
    processor = processor_for(tiny_config(), tokenizer)
    processor.chat_template = None
    with pytest.raises(ModelError, match="no chat template"):
        Prompt.of(processor)


def test_a_tokenizer_whose_labels_share_a_token_is_refused(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    lumped = AutoTokenizer.from_pretrained(tmp_path)
    lumped.add_tokens([" 2", " 3"])  # two labels become one token, two keep blank and digit
    with pytest.raises(ModelError, match="no single tokens of their own"):
        Prompt.of(processor_for(tiny_config(), lumped))
