import numpy as np
import pytest
from rows import mask_row, sample
from settings import KEEP_ALL, settings

from pipeline_tasks.backends.judgement import known_defects
from pipeline_tasks.schema import GOOD


@pytest.fixture
def params():
    """Parameters of `generate` under which every pair passes."""
    changes = {"batch_size": 4, "block_pairs": 4, "shard_pairs": 4, "keep": KEEP_ALL, "inpainting": {"steps": 2}}
    return settings(generate=changes).generate


def grainy(level):
    """Grey noise around `level`, [96, 96, 3]."""
    noise = np.random.default_rng(level).normal(0, 3, (96, 96, 1))
    return np.clip(level + noise, 0, 255).repeat(3, axis=2).astype(np.uint8)


@pytest.fixture
def bar():
    mask = np.zeros((96, 96), bool)
    mask[40:46, 30:60] = True
    return mask


@pytest.fixture
def defects(bar):
    pixels = grainy(150)
    pixels[bar] = 150 // 3
    return {"d/0.png": sample("scratch", pixels=pixels, mask=bar, source_path="d/0.png")}


@pytest.fixture
def known(defects):
    return known_defects(defects.values())


@pytest.fixture
def normals():
    return {"g/0.png": sample(GOOD, pixels=grainy(100), source_path="g/0.png")}


@pytest.fixture
def rows(bar):
    """Mask rows that shift the parent's bar by (dx, dy)."""
    names = {"defect": "scratch", "normal_path": "g/0.png", "parent_a": "d/0.png", "parent_b": "d/0.png"}

    def make(shifts):
        return [
            mask_row(index, np.roll(bar, (dy, dx), (0, 1)), warp=[1, 0, dx, 0, 1, dy], **names)
            for index, (dx, dy) in enumerate(shifts)
        ]

    return make
