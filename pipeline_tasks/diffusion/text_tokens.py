"""A tokenizer for the text encoder that is trained from scratch."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
MAX_TOKENS = 77
"""Tokens of a prompt, the first and the last included, as in CLIP."""
MOST_TOKENS = 4096
"""Size of the vocabulary at the most; prompts with fewer words need fewer."""


def train_tokenizer(prompts: Iterable[str]) -> "CLIPTokenizer":
    """Return a CLIP tokenizer whose byte-pair encoding is trained on `prompts`: their words become tokens.

    Any other text becomes pieces of words and single letters. As in CLIP, case is ignored and `END` pads.
    """
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    untrained = CLIPTokenizer(vocab={START: 0, END: 1})
    trained = untrained.train_new_from_iterator(prompts, vocab_size=MOST_TOKENS, show_progress=False)
    merges = [tuple(pair) for pair in json.loads(trained.backend_tokenizer.to_str())["model"]["merges"]]
    letters = sorted(ByteLevel.alphabet())
    ends = [f"{letter}</w>" for letter in letters]
    tokens = dict.fromkeys([START, END, *letters, *ends, *(left + right for left, right in merges)])
    return CLIPTokenizer(
        vocab={token: number for number, token in enumerate(tokens)}, merges=merges, model_max_length=MAX_TOKENS
    )
