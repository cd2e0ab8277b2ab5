import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_base import save_tiny_pipeline

from pipeline_tasks.diffusion import hub, weights
from pipeline_tasks.diffusion.pipeline_files import needed
from pipeline_tasks.diffusion.weights import CARD, describe, found, load_base, locate
from pipeline_tasks.errors import ModelError
from pipeline_tasks.storage import write_json

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    return save_tiny_pipeline(tmp_path_factory.mktemp("pipelines") / "intact")


@pytest.fixture
def pipeline(intact, tmp_path):
    return shutil.copytree(intact, tmp_path / "pipeline")


@pytest.fixture
def cached(pipeline, tmp_path, monkeypatch):
    """The pipeline as owner/name in a hub cache of its own, and no network."""
    from huggingface_hub import constants

    cache = tmp_path / "cache"
    snapshot = cache / "models--owner--name" / "snapshots" / COMMIT
    shutil.copytree(pipeline, snapshot)
    (cache / "models--owner--name" / "refs").mkdir()
    (cache / "models--owner--name" / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return snapshot


def named(folder, tmp_path):
    write_json(tmp_path / "named" / CARD, found(str(folder), "main"))
    return tmp_path / "named"


def edit(file, **changes):
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_folder_is_described_and_loads_by_what_was_recorded(pipeline, tmp_path):
    card = found(str(pipeline), "main")
    assert card["source"] == str(pipeline) and card["revision"] is None
    assert {"unet/diffusion_pytorch_model.safetensors", "tokenizer/tokenizer.json", "model_index.json"} <= set(
        card["files"]
    )
    base = load_base(named(pipeline, tmp_path))
    assert base.digest == card["digest"] and base.factor == 4 and not base.inpaints
    assert not any(p.requires_grad for p in base.unet.parameters()) and not base.vae.training
    assert base.embed(["a crack"]).shape == (1, 16, 16)


def test_codec_and_text_of_a_loaded_base_are_those_that_were_saved(pipeline, tmp_path):
    from diffusers import AutoencoderKL

    base, vae = load_base(named(pipeline, tmp_path)), AutoencoderKL.from_pretrained(pipeline / "vae")
    pixels = torch.linspace(-1, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)
    expected = vae.encode(pixels).latent_dist.mean * vae.config.scaling_factor
    assert torch.allclose(base.encode(pixels), expected, atol=1e-6)
    assert torch.allclose(base.decode(expected), vae.decode(expected / vae.config.scaling_factor).sample, atol=1e-5)


@pytest.mark.parametrize(("channels", "prediction"), [(9, "epsilon"), (4, "v_prediction")])
def test_the_inpainting_sibling_and_other_predictions_load(tmp_path, channels, prediction):
    folder = save_tiny_pipeline(tmp_path / "other", in_channels=channels, prediction_type=prediction)
    base = load_base(named(folder, tmp_path))
    assert base.inpaints == (channels == 9)
    assert base.scheduler.config.prediction_type == prediction


def test_a_checkpoint_in_the_names_and_schedule_of_stable_diffusion_1_5_loads(pipeline, tmp_path):
    before = load_base(named(pipeline, tmp_path))
    text = load_file(pipeline / "text_encoder/model.safetensors")
    old = {f"text_model.{name}": value for name, value in text.items()}
    old["text_model.embeddings.position_ids"] = torch.arange(16)[None]
    save_file(old, pipeline / "text_encoder/model.safetensors", {"format": "pt"})
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    codec = load_file(pipeline / "vae/diffusion_pytorch_model.safetensors")
    for new, previous in names.items():
        codec = {n.replace(f"0.{new}.", f"0.{previous}.") if "attentions" in n else n: v for n, v in codec.items()}
    save_file(codec, pipeline / "vae/diffusion_pytorch_model.safetensors", {"format": "pt"})
    (pipeline / "scheduler/scheduler_config.json").write_text(
        json.dumps(
            {
                "_class_name": "PNDMScheduler",
                "_diffusers_version": "0.6.0",
                "beta_end": 0.012,
                "beta_schedule": "scaled_linear",
                "beta_start": 0.00085,
                "num_train_timesteps": 1000,
                "set_alpha_to_one": False,
                "skip_prk_steps": True,
                "steps_offset": 1,
                "trained_betas": None,
                "clip_sample": False,
            }
        )
    )
    edit(pipeline / "model_index.json", scheduler=["diffusers", "PNDMScheduler"])
    after = load_base(named(pipeline, tmp_path))
    assert torch.equal(after.embed(["a crack"]), before.embed(["a crack"]))
    pixels = torch.linspace(-1, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)
    assert torch.equal(after.encode(pixels), before.encode(pixels))
    schedule = after.scheduler.config
    assert (schedule.steps_offset, schedule.set_alpha_to_one, schedule.clip_sample) == (1, False, False)
    assert torch.equal(after.scheduler.alphas_cumprod, before.scheduler.alphas_cumprod)


def test_half_precision_is_taken_where_there_is_no_other_and_computed_in_float32(pipeline, tmp_path):
    for name in ("unet/diffusion_pytorch_model", "text_encoder/model"):
        values = load_file(pipeline / f"{name}.safetensors")
        halved = {n: v.half() for n, v in values.items()}
        save_file(halved, pipeline / f"{name}.fp16.safetensors", {"format": "pt"})
    both = needed({"unet/diffusion_pytorch_model.fp16.safetensors", "unet/diffusion_pytorch_model.safetensors"})
    assert both == ["unet/diffusion_pytorch_model.safetensors"]
    for name in ("unet/diffusion_pytorch_model", "text_encoder/model"):
        (pipeline / f"{name}.safetensors").unlink()
    base = load_base(named(pipeline, tmp_path))
    assert base.unet.dtype == base.text_encoder.dtype == torch.float32
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in describe(pipeline)["files"]


def remove(name):
    return lambda folder: (folder / name).unlink()


def pickled(folder):
    (folder / "unet/diffusion_pytorch_model.safetensors").rename(folder / "unet/diffusion_pytorch_model.bin")


@pytest.mark.parametrize(
    ("harm", "complaint"),
    [
        (remove("model_index.json"), "no model_index.json"),
        (remove("vae/config.json"), r"vae/config.json is missing"),
        (remove("tokenizer/tokenizer_config.json"), None),
        (remove("scheduler/scheduler_config.json"), "scheduler/scheduler_config.json is missing"),
        (remove("unet/diffusion_pytorch_model.safetensors"), "unet/diffusion_pytorch_model.safetensors are missing"),
        (pickled, r"unet/diffusion_pytorch_model.bin is a pickle.*convert it"),
        (lambda f: edit(f / "model_index.json", text_encoder_2=["transformers", "CLIPTextModelWithProjection"]), "XL"),
        (lambda f: edit(f / "model_index.json", unet=["diffusers", "Transformer2DModel"]), "needed is UNet2DCond"),
        (lambda f: edit(f / "model_index.json", scheduler=None), "the scheduler is None"),
        (lambda f: (f / "model_index.json").write_text("{"), "model_index.json is damaged"),
    ],
)
def test_a_broken_folder_is_refused_by_what_is_wrong_and_where(pipeline, harm, complaint):
    harm(pipeline)
    if complaint is None:
        assert locate(str(pipeline), "main") == pipeline
        return
    with pytest.raises(ModelError, match=f"{pipeline}.*{complaint}"):
        locate(str(pipeline), "main")


def test_weights_that_changed_since_pretrain_are_refused(pipeline, tmp_path):
    folder = named(pipeline, tmp_path)
    file = pipeline / "unet/diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(ModelError, match=r"unet/diffusion_pytorch_model.safetensors: missing or changed"):
        load_base(folder)


def test_other_weights_of_the_same_size_are_noticed(pipeline, tmp_path):
    folder = named(pipeline, tmp_path)
    file = pipeline / "unet/diffusion_pytorch_model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelError, match=r"unet/diffusion_pytorch_model.safetensors: missing or changed"):
        load_base(folder)


def test_damaged_weights_are_named(pipeline, tmp_path):
    file = pipeline / "unet/diffusion_pytorch_model.safetensors"
    file.write_bytes(b"\0" * file.stat().st_size)
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_base(named(pipeline, tmp_path))


def test_no_base_model_says_which_setting_is_needed(tmp_path):
    write_json(tmp_path / CARD, {"source": "none", "revision": None, "files": {}})
    with pytest.raises(ModelError, match=r"set backend.name to controlnet or dit"):
        load_base(tmp_path)


@pytest.mark.parametrize("path", ["./nowhere", "/no/where/at/all", "nowhere", "~/nowhere/x"])
def test_a_path_that_is_not_there_is_no_hub_id(path):
    with pytest.raises(ModelError, match="no such folder"):
        locate(path, "main")


def test_a_hub_id_is_taken_from_the_cache_offline_and_kept_by_its_commit(cached, tmp_path):
    assert locate("owner/name", "main") == cached
    card = found("owner/name", "main")
    assert card["revision"] == COMMIT
    write_json(tmp_path / "named" / CARD, card)
    (cached.parents[1] / "refs" / "main").unlink()
    assert load_base(tmp_path / "named").digest == card["digest"]


def test_a_hub_id_that_is_not_in_the_cache_says_where_it_was_looked_for_and_how_to_get_it(cached):
    with pytest.raises(ModelError, match=r"other/name.*HF_HUB_OFFLINE is set.*cache.*https://.*hf download other/name"):
        locate("other/name", "main")


def test_only_what_is_needed_is_downloaded_and_half_precision_only_where_there_is_no_other(pipeline, monkeypatch):
    asked = []
    unet = pipeline / "unet/diffusion_pytorch_model.safetensors"
    unet.rename(unet.with_suffix(".later"))

    def download(repository, *, revision, allow_patterns):
        asked.append((repository, revision, allow_patterns))
        if len(asked) == 2:
            unet.with_suffix(".later").rename(unet.with_suffix(".fp16.safetensors"))
        return str(pipeline)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert locate("owner/name", "v1") == pipeline
    assert [a[:2] for a in asked] == [("owner/name", "v1")] * 2
    first, second = asked[0][2], asked[1][2]
    assert "vae/diffusion_pytorch_model.safetensors" in first and "model_index.json" in first
    assert not any("safety" in name or "fp16" in name or "ema" in name or "*" in name for name in first)
    assert second == ["unet/diffusion_pytorch_model.fp16.safetensors"]


def test_what_the_hub_says_is_passed_on(monkeypatch):
    from huggingface_hub.errors import HFValidationError

    def refuse(*_, **__):
        raise HFValidationError("Repo id must use alphanumeric chars")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(ModelError, match="Repo id must use alphanumeric"):
        hub.fetch("backend.pretrained", "owner/name", "main", [])


def test_an_existing_folder_wins_over_a_hub_id(pipeline, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(pipeline, tmp_path / "owner" / "name")
    monkeypatch.setattr(weights, "fetch", None)
    assert locate("owner/name", "main").resolve() == tmp_path / "owner" / "name"
