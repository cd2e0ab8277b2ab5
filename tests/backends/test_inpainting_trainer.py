from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from interruptions import Memory
from rows import PROMPTS, sample
from settings import settings
from tiny_prior import write_prior

from pipeline_tasks.backends import inpainting_trainer, load_backend, load_trainer
from pipeline_tasks.backends.inpainting import CARD
from pipeline_tasks.backends.inpainting_trainer import InpaintingTrainer
from pipeline_tasks.backends.protocol import MAX_NORMALS, TrainingSamples
from pipeline_tasks.errors import ConfigError, DataError
from pipeline_tasks.inpainting.initial import found_prior
from pipeline_tasks.inpainting.prior_files import read_prior
from pipeline_tasks.inpainting.prior_weights import load_prior
from pipeline_tasks.schema import GOOD
from pipeline_tasks.storage import read_json, write_json

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


def test_training_starts_from_the_prior_that_was_recorded(tmp_path):
    prior = write_prior(tmp_path / "prior")
    write_json(tmp_path / "pretrained.json", found_prior(str(prior)))
    own = {"steps": 1, "batch_size": 2, "learning_rate": 1e-9, "ema_decay": 0.0}
    params = settings(train=own | {"init": str(prior), "inpainting": SMALL})
    samples = TrainingSamples([defect("pit"), defect("scratch")], [], PROMPTS)
    model, digest = load_trainer(params, tmp_path).train(samples, 0, Memory(), iter), read_prior(prior)["digest"]
    model.save(tmp_path / "model")
    assert [read_json(tmp_path / "model" / CARD)[key] for key in ("init", "init_digest")] == ["folder", digest]
    begun = load_prior(prior, digest, SMALL["channels"], 2)
    weights = zip(model.unet.parameters(), begun.parameters(), strict=True)
    assert all(torch.allclose(trained, before, atol=1e-6) for trained, before in weights)


def test_some_of_many_images_are_held_out_with_their_counterparts_and_end_the_training(monkeypatch):
    seen = {}

    def train_on(_, data, *rest):
        seen["data"] = data
        return [0.0]

    monkeypatch.setattr(inpainting_trainer, "train", train_on)
    early = {"min_images": 10, "fraction": 0.2}
    many = [defect("pit", number=number) for number in range(10)]
    counterparts = [sample(GOOD, number, derived_from=one.source_path) for number, one in enumerate(many)]
    train(many, counterparts, early_stop=settings().train.inpainting.early_stop.model_dump() | early)
    assert (len(seen["data"].defects), len(seen["data"].held_out), len(seen["data"].normals)) == (8, 2, 8)
    train(many[:9], early_stop=settings().train.inpainting.early_stop.model_dump() | early)
    assert (len(seen["data"].defects), len(seen["data"].held_out)) == (9, 0)


def test_several_products_are_refused_with_the_way_out():
    with pytest.raises(ConfigError, match=r"learns one product; write the catalog without --shared"):
        train([defect("pit"), defect("pit", product="tile")])


def test_a_defect_without_a_mask_is_named():
    with pytest.raises(DataError, match=r"base/pit/000\.png: a defect without a mask; re-run ingest"):
        train([replace(defect("pit"), mask=None)])


def test_a_window_that_the_network_cannot_halve_is_refused():
    params = settings(train={"inpainting": SMALL}).train
    deep = params.inpainting.model_copy(update={"channels": [8] * 5, "window_px": 48})
    trainer = InpaintingTrainer(params.model_copy(update={"inpainting": deep}), "")
    with pytest.raises(ConfigError, match=r"train.inpainting.window_px = 48 must be a multiple of 32 for 5 channels"):
        trainer.train(TrainingSamples([defect("pit")], [], PROMPTS), 0, Memory(), iter)
