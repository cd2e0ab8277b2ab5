import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import (
    ControlNetModel,
    StableDiffusionControlNetInpaintPipeline,
    StableDiffusionControlNetPipeline,
    UNet2DConditionModel,
)
from PIL import Image
from tiny_training import tiny_base, train_tiny

from pipeline_tasks.controlnet.generator import Generator, with_noise_schedule
from pipeline_tasks.diffusion.base_model import open_pipeline
from pipeline_tasks.errors import ModelError

DIGEST = "digest of the base"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A base, and a generator with adapters trained on it, on disk."""
    base, model = tmp_path_factory.mktemp("base"), tmp_path_factory.mktemp("model")
    train_tiny(tiny_base(base), controlnet={"lora_rank": 2, "noise_schedule": "cosine"}).save(model)
    return base, model


@pytest.fixture
def model(folders, tmp_path):
    return shutil.copytree(folders[1], tmp_path / "model")


@pytest.fixture
def base(folders):
    return open_pipeline(folders[0], DIGEST)


def mask_image():
    mask = np.zeros((64, 64, 3), np.uint8)
    mask[20:40, 20:40] = 255
    return Image.fromarray(mask)


def parts_of(folder, inpainting):
    options = {"use_safetensors": True, "safety_checker": None, "requires_safety_checker": False}
    control = ControlNetModel.from_pretrained(folder / "controlnet", use_safetensors=True)
    kind = StableDiffusionControlNetInpaintPipeline if inpainting else StableDiffusionControlNetPipeline
    pipeline = kind.from_pretrained(folder.parent / "base", controlnet=control, **options)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.parametrize("inpainting", [False, True])
def test_plain_diffusers_runs_what_training_wrote(tmp_path, inpainting):
    base = tiny_base(tmp_path / "base", in_channels=9 if inpainting else 4)
    train_tiny(base).save(tmp_path / "model")
    pipeline = parts_of(tmp_path / "model", inpainting)
    mask = mask_image()
    images = {"image": mask, "mask_image": mask, "control_image": mask} if inpainting else {"image": mask}
    options = {"num_inference_steps": 2, "output_type": "np", "generator": torch.Generator().manual_seed(0)}
    (made,) = pipeline("blob plate", height=64, width=64, **images, **options).images
    assert made.shape == (64, 64, 3) and np.isfinite(made).all() and made.std() > 0


def test_a_saved_generator_is_the_trained_one(folders, base, tmp_path):
    trained = train_tiny(base, controlnet={"lora_rank": 2, "noise_schedule": "cosine"})
    trained.save(tmp_path)
    loaded = Generator.load(tmp_path, open_pipeline(folders[0], DIGEST))
    for kept, own in ((loaded.control, trained.control), (loaded.base.unet, trained.base.unet)):
        weights = own.state_dict()
        assert all(torch.equal(weights[name], value) for name, value in kept.state_dict().items())
        assert not kept.training and not any(weight.requires_grad for weight in kept.parameters())
    settings = ("resolution_px", "view", "noise_schedule", "lora_rank")
    assert [getattr(loaded, name) for name in settings] == [64, "window", "cosine", 2]
    assert loaded.base.scheduler.config.beta_schedule == "squaredcos_cap_v2"


def test_the_adapters_are_trained_and_change_the_base(folders, base, model):
    latents, text = torch.randn(1, 4, 16, 16), torch.randn(1, 16, 16)
    predict = lambda: base.unet(latents, 500, encoder_hidden_states=text).sample  # noqa: E731
    before = predict()
    Generator.load(model, base)
    adapters = {name: value for name, value in base.unet.named_parameters() if "lora_B" in name}
    assert len(adapters) == 4 * sum(1 for name in UNet2DConditionModel.attn_processors.fget(base.unet))
    assert all(value.any() for value in adapters.values())
    assert not torch.equal(predict(), before)


def test_the_digest_follows_the_files(base, model, folders):
    before = Generator.load(model, base).digest
    assert before == Generator.load(folders[1], open_pipeline(folders[0], DIGEST)).digest
    card = json.loads((model / "generator.json").read_text())
    (model / "generator.json").write_text(json.dumps(card | {"view": "image"}))
    assert Generator.load(model, open_pipeline(folders[0], DIGEST)).digest != before


def test_another_base_is_refused(folders, model):
    with pytest.raises(ModelError, match=r"trained on the base model digest of th, this one is another"):
        Generator.load(model, open_pipeline(folders[0], "another"))


@pytest.mark.parametrize(
    "name",
    [
        "generator.json",
        "controlnet/config.json",
        "controlnet/diffusion_pytorch_model.safetensors",
        "lora/pytorch_lora_weights.safetensors",
    ],
)
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_missing_and_damaged_files_are_named(base, model, name, damage):
    content = (model / name).read_bytes()
    (model / name).unlink() if damage == "missing" else (model / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=f"{name.split('/')[0]}.*dvc repro train"):
        Generator.load(model, base)


def test_weights_of_another_shape_or_too_few_are_refused(base, model):
    from safetensors.torch import load_file, save_file

    path = model / "controlnet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    weights.pop("conv_in.weight")
    save_file(weights, path)
    with pytest.raises(ModelError, match="conv_in"):
        Generator.load(model, base)


def test_pickled_weights_are_never_read(base, model):
    path = model / "controlnet" / "diffusion_pytorch_model.safetensors"
    torch.save({}, path.with_suffix(".bin"))
    path.unlink()
    with pytest.raises(ModelError, match="ControlNet cannot be loaded"):
        Generator.load(model, base)


def test_a_card_of_something_else_is_refused(base, model):
    (model / "generator.json").write_text('{"backend": "inpainting"}')
    with pytest.raises(ModelError, match=r"lacks \['base', 'lora_rank'"):
        Generator.load(model, base)
    (model / "generator.json").write_text("[]")
    with pytest.raises(ModelError, match="not the card"):
        Generator.load(model, base)


def test_the_cosine_schedule_is_that_of_the_paper_and_keeps_the_rest(base):
    own, cosine = (with_noise_schedule(base, kind).scheduler for kind in ("checkpoint", "cosine"))
    assert own is base.scheduler
    share = (torch.arange(1001, dtype=torch.float64) / 1000 + 0.008) / 1.008
    alpha_bar = torch.cos(share * torch.pi / 2) ** 2
    expected = (alpha_bar[1:] / alpha_bar[0])[:900]
    torch.testing.assert_close(cosine.alphas_cumprod[:900].double(), expected, rtol=1e-3, atol=0)
    assert cosine.config.prediction_type == own.config.prediction_type
    assert cosine.config.clip_sample is False and cosine.config.set_alpha_to_one is False
