"""A tiny CLIP model with random weights, saved as transformers does."""

from pathlib import Path

from tiny_base import letter_tokenizer


def save_tiny_clip(folder: Path, seed: int = 0) -> Path:
    """Save a CLIP of 32 px images and of texts up to 64 characters."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    words = {"vocab_size": 600, "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    config = CLIPConfig(
        text_config={**small, **words}, vision_config={**small, "image_size": 32, "patch_size": 8}, projection_dim=16
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CLIPModel(config)
        for parameter in model.parameters():
            parameter.data.mul_(5)
    model.save_pretrained(folder, safe_serialization=True)
    letter_tokenizer(64).save_pretrained(folder)
    return folder
