"""How well texts describe a defect, by CLIP's cosine similarity, and the phrases to choose from (METHODS section 1)."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor

from pipeline_tasks.diffusion.hub import fetch
from pipeline_tasks.errors import ModelError
from pipeline_tasks.images.boxes import Box, box_around, crop
from pipeline_tasks.images.codec import Mask, Pixels

if TYPE_CHECKING:
    from transformers import CLIPModel, CLIPTokenizer

PHRASES = Path(__file__).with_name("phrases.yaml")
FILES = (
    "config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "vocab.json", "merges.txt",
)  # fmt: skip
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""What CLIP's pixels, 0..1, are normalised by, where the model's folder does not say."""
CONTEXT = 2.0
"""A defect is looked at in a square this many times its extent, so that its surroundings show what is unlike them."""
SMALLEST_SIDE_PX = 48
"""And no smaller than this: a few pixels scaled up are a blur."""
Reals = NDArray[np.float64]


def read_phrases(path: Path = PHRASES) -> dict[str, list[str]]:
    """Return the phrase bank: category -> phrases."""
    bank: dict[str, list[str]] = yaml.safe_load(path.read_text())
    return bank


def find_clip(source: str) -> Path:
    """Return the folder of a CLIP model: `source` itself, or a hub id's in the hub's cache, downloaded if need be.

    Raises ModelError saying where it was looked for if the model is not there.
    """
    if Path(source).is_dir():
        return Path(source)
    if source.count("/") != 1 or source.startswith((".", "~", "/")):
        raise ModelError(f"prompts.clip = '{source}': no such folder")
    return fetch("prompts.clip", source, "main", FILES)


@dataclass(frozen=True)
class Clip:
    """A CLIP model with what it needs to read texts and images; embeddings of texts are kept."""

    model: "CLIPModel"
    tokenizer: "CLIPTokenizer"
    mean: Sequence[float]
    deviation: Sequence[float]
    _texts: dict[str, Tensor] = field(default_factory=dict)

    @torch.no_grad()
    def look(self, pixels: Pixels, mask: Mask) -> Callable[[Sequence[str]], Reals]:
        """Look at the window around the defect under `mask`, bool [H, W], not empty, of `pixels`, RGB uint8 [H, W, 3].

        Returns what gives the cosine similarities [N] of N texts with what is seen.
        """
        side = int(self.model.config.vision_config.image_size)
        seen = normalise(np.asarray(crop(pixels, defect_window(mask)), np.uint8), side, self.mean, self.deviation)
        image = _unit(self.model.get_image_features(torch.from_numpy(seen)[None]).pooler_output)[0]
        return lambda texts: np.array([float(self._embed(text) @ image) for text in texts])

    @torch.no_grad()
    def _embed(self, text: str) -> Tensor:
        """Return the unit embedding [width]: one at a time, so that its rounding does not depend on others."""
        if text not in self._texts:
            length = self.model.config.text_config.max_position_embeddings
            tokens = self.tokenizer(text, max_length=length, truncation=True, return_tensors="pt")
            self._texts[text] = _unit(self.model.get_text_features(tokens.input_ids).pooler_output)[0]
        return self._texts[text]


def open_clip(folder: Path) -> Clip:
    """Load a CLIP model from a folder, safetensors only. Raises ModelError if it is damaged or incomplete."""
    from transformers import CLIPModel, CLIPTokenizer

    own = {"use_safetensors": True, "local_files_only": True, "output_loading_info": True}
    try:
        model, info = CLIPModel.from_pretrained(folder, **own)
        tokenizer = CLIPTokenizer.from_pretrained(_with_vocabulary(folder), local_files_only=True)
        lacking = sorted(map(str, {*info["missing_keys"], *info["mismatched_keys"]}))
        mean, deviation = _normalisation(folder / "preprocessor_config.json")
    except Exception as error:  # safetensors, transformers and tokenizers raise nearly anything on damaged files
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"{folder}: not a usable CLIP model ({reason}); get it again, with safetensors") from error
    if lacking:
        raise ModelError(f"{folder}: its weights lack {', '.join(lacking[:3])} ({len(lacking)} in all); get it again")
    return Clip(model.eval().requires_grad_(False), tokenizer, mean, deviation)


def _with_vocabulary(folder: Path) -> Path:
    """Return `folder`. Without a vocabulary transformers would make an empty one: raises FileNotFoundError instead."""
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        raise FileNotFoundError("neither tokenizer.json nor vocab.json is there")
    return folder


def _normalisation(file: Path) -> tuple[Sequence[float], Sequence[float]]:
    config: dict[str, Any] = json.loads(file.read_bytes()) if file.is_file() else {}
    return config.get("image_mean", MEAN), config.get("image_std", DEVIATION)


def defect_window(mask: Mask) -> Box:
    """Return the square around the defect under `mask`, bool [H, W], that CLIP sees, inside the image where it fits."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    side = min(max(int(CONTEXT * extent), SMALLEST_SIDE_PX), max(mask.shape))
    return box_around((int(rows[0] + rows[-1] + 1) // 2, int(columns[0] + columns[-1] + 1) // 2), side, mask.shape)


def normalise(pixels: Pixels, side_px: int, mean: Sequence[float], deviation: Sequence[float]) -> NDArray[np.float32]:
    """Return square RGB uint8 `pixels` [S, S, 3] as CLIP takes them: bicubic, normalised, [3, side_px, side_px]."""
    from PIL import Image

    scaled = np.asarray(Image.fromarray(pixels).resize((side_px, side_px), Image.Resampling.BICUBIC), np.float32) / 255
    return np.ascontiguousarray(((scaled - mean) / deviation).transpose(2, 0, 1), np.float32)


def _unit(features: Tensor) -> Tensor:
    return torch.nn.functional.normalize(features, dim=-1)
