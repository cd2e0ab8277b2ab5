"""A tiny class-conditional DiT in the format of diffusers' DiTPipeline, and a tiny TDIA with texts, random weights."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline_tasks.dit.tdia import TDIA
    from pipeline_tasks.dit.texts import PartTexts

SIZES = {"sample_size": 8, "in_channels": 4, "patch_size": 2, "num_attention_heads": 2, "attention_head_dim": 8}


def save_tiny_dit(folder: Path, *, layers: int = 4, classes: int = 5, seed: int = 0, **config: Any) -> Path:
    """Save a DiT for latents [4, 8, 8] that also predicts the variance, as the pretrained ones do, and its schedule."""
    import torch
    from diffusers import DDIMScheduler, DiTTransformer2DModel

    sizes = SIZES | {"out_channels": 8, "num_layers": layers, "num_embeds_ada_norm": classes} | config
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        transformer = DiTTransformer2DModel(**sizes)
    parts = {"transformer": transformer, "scheduler": DDIMScheduler(clip_sample=False)}
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    index = {name: ["diffusers", type(part).__name__] for name, part in parts.items()}
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "DiTPipeline", **index}))
    return folder


def tiny_tdia(*, blocks: tuple[int, int, int] = (1, 2, 1), width: int = 16, seed: int = 0) -> "TDIA":
    """Return a TDIA for latents [4, 8, 8] and texts `width` wide, nothing of it at zero: as if trained."""
    import torch

    from pipeline_tasks.dit.tdia import TDIA

    background, defect, fusion = blocks
    parts = {"background_layers": background, "defect_layers": defect, "fusion_layers": fusion}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tdia = TDIA(**SIZES, cross_attention_dim=width, **parts)
        for weight in tdia.parameters():
            torch.nn.init.normal_(weight, std=0.2)
    return tdia.eval()


def random_texts(rows: int, *, tokens: int = 6, width: int = 16, seed: int = 0) -> "PartTexts":
    """Return texts of `tokens` tokens, the last two of them padding, the names' tokens 2 and 3."""
    import torch

    from pipeline_tasks.dit.texts import PartText, PartTexts

    rng = torch.Generator().manual_seed(seed)
    real = (torch.arange(tokens) < tokens - 2).expand(rows, tokens)
    parts = (PartText(torch.randn(rows, tokens, width, generator=rng), real) for _ in range(3))
    name = torch.zeros(rows, tokens, dtype=torch.bool)
    name[:, 2:4] = True
    return PartTexts(*parts, name=name)
