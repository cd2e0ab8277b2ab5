import numpy as np
import pytest

from pipeline_tasks.images.codec import encode_image, encode_mask
from pipeline_tasks.params import Generate
from pipeline_tasks.schema import GOOD, MaskRow, Sample


@pytest.fixture
def settings():
    return Generate(
        backend="inpainting",
    threads=1,
        steps=2,
        batch_size=4,
        dilation_px=3,
        feather_px=2,
        severity=1.0,
        shard_pairs=4,
        device="cpu",
        precision="float32",
    )


def sample(path, defect, level, mask=None, split="base", derived=None):
    rng = np.random.default_rng(level)
    pixels = np.clip(level + rng.normal(0, 3, (96, 96, 1)), 0, 255).repeat(3, axis=2).astype(np.uint8)
    if mask is not None:
        pixels[mask] = level // 3
    area = 0 if mask is None else int(mask.sum())
    return Sample(
        "plate",
        defect,
        split,
        path,
        "ab" * 32,
        1,
        96,
        96,
        area,
        area / 96**2,
        derived,
        encode_image(pixels),
        None if mask is None else encode_mask(mask),
    )


@pytest.fixture
def bar():
    mask = np.zeros((96, 96), bool)
    mask[40:46, 30:60] = True
    return mask


@pytest.fixture
def defects(bar):
    return {"d/0.png": sample("d/0.png", "scratch", 150, bar)}


@pytest.fixture
def normals():
    return {"g/0.png": sample("g/0.png", GOOD, 100)}


@pytest.fixture
def rows(bar):
    """Mask rows that shift the parent's bar by (dx, dy)."""

    def make(shifts):
        made = []
        for index, (dx, dy) in enumerate(shifts):
            mask = np.roll(bar, (dy, dx), (0, 1))
            made.append(
                MaskRow(
                    index,
                    "plate",
                    "scratch",
                    1000 + index,
                    "g/0.png",
                    "ab" * 32,
                    "transformed",
                    "d/0.png",
                    "d/0.png",
                    0.0,
                    [1, 0, dx, 0, 1, dy],
                    1,
                    int(mask.sum()),
                    encode_mask(mask),
                )
            )
        return made

    return make
