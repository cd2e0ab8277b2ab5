from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from interruptions import Memory
from rows import PROMPTS, sample
from settings import settings

from pipeline_tasks.backends import load_backend, load_trainer
from pipeline_tasks.backends.inpainting_trainer import InpaintingTrainer
from pipeline_tasks.backends.protocol import MAX_NORMALS, TrainingSamples
from pipeline_tasks.errors import ConfigError, DataError
from pipeline_tasks.schema import GOOD

SMALL = {"window_px": 32, "channels": [8, 16], "dilation_px": 2}
MASK = np.zeros((48, 48), bool)
MASK[20:24, 10:30] = True
MARKED = np.where(MASK[..., None], np.uint8(40), np.full((48, 48, 3), 120, np.uint8))


def defect(name, **values):
    return sample(name, pixels=MARKED, mask=MASK, **values)


def train(defects, normals=(), seed=0, **own):
    params = settings(train={"steps": 2, "batch_size": 2, "inpainting": SMALL | own})
    samples = TrainingSamples(defects, normals, PROMPTS)
    return load_trainer(params, Path()).train(samples, seed, Memory(), iter)


def test_knows_every_defect_by_name_in_order():
    model = train([defect("scratch"), defect("pit")], [sample(GOOD)])
    assert model.defects == ["pit", "scratch"] and len(model.losses) == 2
    assert (model.window_px, model.dilation_px) == (32, 2) and model.scale > 20


def test_trains_without_normal_images():
    assert train([defect("pit")]).defects == ["pit"]


def test_equal_seeds_give_equal_weights_and_others_do_not():
    first, again, other = (train([defect("pit")], seed=seed).unet.state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_no_more_normal_images_are_decoded_than_memory_should_hold():
    def normals():
        for number in range(MAX_NORMALS + 2):
            assert number <= MAX_NORMALS
            yield sample(GOOD, number)

    assert train([defect("pit")], normals()).defects == ["pit"]


def test_what_was_trained_is_what_the_backend_loads(tmp_path):
    model = train([defect("pit")])
    model.save(tmp_path)
    loaded = load_backend(settings(), tmp_path, tmp_path).model
    assert (loaded.defects, loaded.window_px) == (["pit"], 32)
    assert all(torch.equal(a, b) for a, b in zip(model.unet.parameters(), loaded.unet.parameters(), strict=True))


def test_the_model_remembers_that_it_has_no_appearance_code(tmp_path):
    model = train([defect("pit")], appearance_code=False)
    model.save(tmp_path)
    assert [m.appearance_code for m in (model, load_backend(settings(), tmp_path, tmp_path).model)] == [False, False]
    assert train([defect("pit")]).appearance_code


def test_several_products_are_refused_with_the_way_out():
    with pytest.raises(ConfigError, match=r"learns one product; write the catalog without --shared"):
        train([defect("pit"), defect("pit", product="tile")])


def test_a_defect_without_a_mask_is_named():
    with pytest.raises(DataError, match=r"base/pit/000\.png: a defect without a mask; re-run ingest"):
        train([replace(defect("pit"), mask=None)])


def test_a_window_that_the_network_cannot_halve_is_refused():
    params = settings(train={"inpainting": SMALL}).train
    deep = params.inpainting.model_copy(update={"channels": [8] * 5, "window_px": 48})
    trainer = InpaintingTrainer(params.model_copy(update={"inpainting": deep}))
    with pytest.raises(ConfigError, match=r"train.inpainting.window_px = 48 must be a multiple of 32 for 5 channels"):
        trainer.train(TrainingSamples([defect("pit")], [], PROMPTS), 0, Memory(), iter)
