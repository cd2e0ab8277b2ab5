import json
import shutil

import pytest
import torch
from diffusers import DDIMScheduler
from safetensors.torch import load_file, save_file
from tiny_dit_training import DIGEST, tiny_base, train_tiny_dit

from pipeline_tasks.diffusion.base_model import open_pipeline
from pipeline_tasks.dit.generator import Generator
from pipeline_tasks.errors import ModelError

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A base that predicts velocities, and a generator trained on it, on disk; and the generator."""
    base, model = tmp_path_factory.mktemp("base"), tmp_path_factory.mktemp("model")
    trained = train_tiny_dit(tiny_base(base, prediction_type="v_prediction"), dit={"one_prompt": True})
    trained.save(model)
    return base, model, trained


@pytest.fixture
def model(folders, tmp_path):
    return shutil.copytree(folders[1], tmp_path / "model")


@pytest.fixture(scope="module")
def base(folders):
    return open_pipeline(folders[0], DIGEST)


def own_config(network):
    return {name: value for name, value in network.config.items() if not name.startswith("_")}


def test_a_saved_generator_is_the_trained_one(folders, base):
    trained, loaded = folders[2], Generator.load(folders[1], base)
    for kept, own in ((loaded.tdia, trained.tdia), (loaded.mask_head, trained.mask_head)):
        weights = own.state_dict()
        assert all(torch.equal(weights[name], value) for name, value in kept.state_dict().items())
        assert not kept.training and not any(weight.requires_grad for weight in kept.parameters())
        assert own_config(kept) == own_config(own)
    assert (loaded.resolution_px, loaded.view, loaded.one_prompt) == (32, "window", True)
    assert loaded.scheduler.config.prediction_type == "v_prediction"
    assert torch.equal(loaded.scheduler.alphas_cumprod, base.scheduler.alphas_cumprod)
    assert not loaded.losses and loaded.base is base


def test_the_files_are_safetensors_and_json(folders):
    names = {str(path.relative_to(folders[1])) for path in folders[1].rglob("*") if path.is_file()}
    networks = {f"{part}/{name}" for part in ("tdia", "mask_head") for name in ("config.json", WEIGHTS)}
    assert names == networks | {"generator.json", "scheduler/scheduler_config.json"}
    assert json.loads((folders[1] / "generator.json").read_text())["backend"] == "dit"


def test_the_digest_follows_every_file(base, model, folders):
    before = Generator.load(model, base).digest
    assert before == Generator.load(folders[1], base).digest
    DDIMScheduler(num_train_timesteps=10).save_pretrained(model / "scheduler")
    changed = Generator.load(model, base).digest
    card = json.loads((model / "generator.json").read_text())
    (model / "generator.json").write_text(json.dumps(card | {"view": "image"}))
    assert len({before, changed, Generator.load(model, base).digest}) == 3


def test_another_base_is_refused(folders, model):
    with pytest.raises(ModelError, match=r"trained on the base model digest of th, this one is another"):
        Generator.load(model, open_pipeline(folders[0], "another"))


@pytest.mark.parametrize(
    "name",
    [
        "generator.json",
        "tdia/config.json",
        f"tdia/{WEIGHTS}",
        "mask_head/config.json",
        f"mask_head/{WEIGHTS}",
        "scheduler/scheduler_config.json",
    ],
)
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_missing_and_damaged_files_are_named(base, model, name, damage):
    content = (model / name).read_bytes()
    (model / name).unlink() if damage == "missing" else (model / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=f"{name.split('/')[0]}.*dvc repro train"):
        Generator.load(model, base)


def test_too_few_weights_are_refused(base, model):
    path = model / "mask_head" / WEIGHTS
    weights = load_file(path)
    weights.pop("out.bias")
    save_file(weights, path)
    with pytest.raises(ModelError, match=r"MaskHead lacks weights.*out\.bias"):
        Generator.load(model, base)


def test_pickled_weights_are_never_read(base, model):
    path = model / "tdia" / WEIGHTS
    torch.save(load_file(path), path.with_suffix(".bin"))
    path.unlink()
    with pytest.raises(ModelError, match="TDIA cannot be loaded"):
        Generator.load(model, base)


def test_a_card_of_something_else_is_refused(base, model):
    (model / "generator.json").write_text('{"backend": "controlnet", "base": "digest of the base"}')
    with pytest.raises(ModelError, match=r"not the card of a DiT generator \(it lacks \['one_prompt'"):
        Generator.load(model, base)
    (model / "generator.json").write_text("[]")
    with pytest.raises(ModelError, match="not the card"):
        Generator.load(model, base)
