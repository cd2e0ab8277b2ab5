import json
from itertools import islice

import numpy as np
import pytest
import torch
from settings import TINY_BASE, settings

from pipeline_tasks.diffusion import codec_training
from pipeline_tasks.diffusion.codec_training import codec_error, latents_of, reconstruction_psnr, standardise, window_px
from pipeline_tasks.diffusion.pictures import SHARES, Pictures
from pipeline_tasks.diffusion.scratch import ScratchTraining
from pipeline_tasks.diffusion.scratch_networks import make_codec, make_scheduler, make_text_encoder, make_unet
from pipeline_tasks.diffusion.text_tokens import train_tokenizer
from pipeline_tasks.diffusion.training_views import PromptedImage
from pipeline_tasks.diffusion.unet_training import EMPTY_FRACTION, Denoiser, LatentPictures
from pipeline_tasks.diffusion.weights import load_base

PARAMS = settings(
    backend={"name": "controlnet", "resolution_px": 32},
    pretrain={
        **TINY_BASE,
        "codec_steps": 5,
        "views_per_image": 2,
        "unet_steps": 5,
        "unet_batch_size": 4,
        "checkpoint_every_steps": 2,
    },
)
CPU = torch.device("cpu")


class Memory:
    def __init__(self):
        self.states = []

    def load(self):
        return self.states[-1] if self.states else None

    def save(self, state):
        self.states.append({k: v.clone() for k, v in state.items()})


def image(kind, level=100):
    rng = np.random.default_rng(level)
    pixels = rng.integers(level - 10, level + 10, (48, 56, 3)).astype(np.uint8)
    mask = np.zeros((48, 56), bool)
    if kind != "good":
        mask[20:28, 10:30] = True
        pixels[mask] = 20
    return PromptedImage(pixels, mask, f"{kind} plate", f"mask of {kind} plate")


def pictures(normals=3):
    return Pictures(
        [image("crack"), image("pit", 120)], [image("good", 90 + i) for i in range(normals)], PARAMS.backend
    )


def training(checkpoints, progress=lambda part, steps: iter(steps), **changes):
    params = PARAMS.pretrain.model_copy(update=changes)
    return ScratchTraining(params, 7, CPU, torch.float32, checkpoints, progress)


def trained(checkpoints, progress=lambda part, steps: iter(steps), **changes):
    everything = pictures()
    held = Pictures(everything.defects, [image("good", 140)], PARAMS.backend)
    return training(checkpoints, progress, **changes).run(everything, everything, held)


def weights(base):
    networks = {"vae": base.vae, "text": base.denoiser.text_encoder, "unet": base.denoiser.unet}
    return {f"{name}.{key}": value for name, net in networks.items() for key, value in net.state_dict().items()}


@pytest.fixture(scope="module")
def whole():
    return trained(Memory())


@pytest.mark.parametrize(("part", "number"), [("codec", 4), ("unet", 0), ("unet", 3)])
def test_a_run_broken_in_either_part_and_resumed_equals_the_unbroken_one_to_the_bit(whole, part, number):
    class Killed(BaseException):
        pass

    def until(name, steps):
        for step in steps:
            if (name, step) == (part, number):
                raise Killed
            yield step

    memory, done = Memory(), []
    with pytest.raises(Killed):
        trained(memory, until)
    resumed = trained(memory, lambda name, steps: (done.append((name, steps.start)), iter(steps))[1])
    assert done == {"codec": [("codec", 4), ("unet", 0)], "unet": [("unet", number // 2 * 2)]}[part]
    assert (resumed.codec_losses, resumed.unet_losses) == (whole.codec_losses, whole.unet_losses)
    expected = weights(whole)
    assert all(torch.equal(value, expected[name]) for name, value in weights(resumed).items())
    assert resumed.codec_psnr_db == whole.codec_psnr_db


def test_plain_diffusers_loads_and_runs_what_is_saved(whole, tmp_path):
    from diffusers import StableDiffusionPipeline

    whole.save(tmp_path)
    pipeline = StableDiffusionPipeline.from_pretrained(tmp_path)
    pipeline.set_progress_bar_config(disable=True)
    drawn = pipeline("crack plate", num_inference_steps=2, output_type="np", height=32, width=32).images
    assert drawn.shape == (1, 32, 32, 3) and np.isfinite(drawn).all()


def test_what_is_saved_loads_as_a_base_model_with_the_same_weights_and_says_its_psnr(whole, tmp_path):
    whole.save(tmp_path)
    base, card = load_base(tmp_path), json.loads((tmp_path / "pretrained.json").read_text())
    assert (card["source"], card["codec_psnr_db"]) == ("scratch", whole.codec_psnr_db)
    assert (
        base.digest == card["digest"] and base.factor == 2 and base.scheduler.config.prediction_type == "v_prediction"
    )
    expected = whole.denoiser.unet.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in base.unet.state_dict().items())
    assert base.embed(["crack plate"]).shape == (1, 77, 16)


def test_every_network_is_trained(whole):
    codec = make_codec(PARAMS.pretrain, 32, 7).state_dict()
    assert not torch.equal(codec["decoder.conv_out.weight"], whole.vae.state_dict()["decoder.conv_out.weight"])
    text = make_text_encoder(PARAMS.pretrain, whole.denoiser.tokenizer, 7).state_dict()
    assert all(
        not torch.equal(v, whole.denoiser.text_encoder.state_dict()[k]) for k, v in text.items() if "weight" in k
    )
    unet = make_unet(PARAMS.pretrain, 16, 7).state_dict()
    changed = [not torch.equal(value, whole.denoiser.unet.state_dict()[name]) for name, value in unet.items()]
    assert all(changed)


def test_codec_training_lowers_the_error(whole):
    seen = pictures()
    fresh = make_codec(PARAMS.pretrain, 32, 7)
    better = make_codec(PARAMS.pretrain, 32, 7)
    params = PARAMS.pretrain.model_copy(update={"codec_steps": 60})
    codec_training.train_codec(better, seen, params, 7, torch.float32, Memory(), iter)
    views = list(seen.fixed("defect", 4, 1))
    assert reconstruction_psnr(better, views) > reconstruction_psnr(fresh, views) + 3


def test_without_a_held_out_image_no_psnr_is_claimed():
    everything = pictures(normals=1)
    none = Pictures(everything.defects, [], PARAMS.backend)
    assert training(Memory(), codec_steps=1, unet_steps=1).run(everything, everything, none).codec_psnr_db is None


def test_psnr_is_that_of_the_definition():
    class Codec:
        device = CPU

        def encode(self, pixels):
            posterior = type("Posterior", (), {"mode": lambda _: pixels + 2 * 10 / 255})
            return type("Coded", (), {"latent_dist": posterior()})

        def decode(self, latents):
            return type("Decoded", (), {"sample": latents})

    grey = np.full((3, 8, 8), 100 / 127.5 - 1, np.float32)
    assert reconstruction_psnr(Codec(), [grey] * 3) == pytest.approx(20 * np.log10(255 / 10), abs=1e-4)


def test_standardised_latents_are_even_and_decode_to_the_same():
    codec = make_codec(PARAMS.pretrain, 32, 7).eval()
    views = list(pictures().fixed("normal", 3, 0))
    before = latents_of(codec, views, torch.float32)
    pixels = torch.from_numpy(np.stack(views))
    with torch.no_grad():
        decoded, spread = codec.decode(before).sample, codec.encode(pixels).latent_dist.std
    standardise(codec, before)
    after = latents_of(codec, views, torch.float32)
    assert torch.allclose(after.mean((0, 2, 3)), torch.zeros(4), atol=1e-4)
    assert torch.allclose(after.std((0, 2, 3)), torch.ones(4), atol=1e-3)
    with torch.no_grad():
        assert torch.allclose(codec.decode(after).sample, decoded, atol=1e-4)
        ratio = spread / codec.encode(pixels).latent_dist.std
    assert torch.allclose(ratio, before.std((0, 2, 3))[:, None, None].expand_as(ratio), rtol=1e-3)


def test_the_codecs_error_counts_pixels_and_steps_relative_to_contrast():
    pixels = torch.zeros(1, 3, 4, 4)
    pixels[..., ::2] = 1
    weight = 1 / (float(pixels.std()) + codec_training.LEAST_CONTRAST)
    shifted = codec_error(pixels + 0.5, pixels)
    assert float(shifted) == pytest.approx(weight * (0.5 + 0.5**2), rel=1e-5)
    flat = codec_error(torch.full_like(pixels, 0.5), pixels)
    assert float(flat) == pytest.approx(float(shifted) + weight, rel=1e-5)  # every step along the rows is lost


@pytest.mark.parametrize(("resolution", "side"), [(32, 16), (128, 64), (72, 36)])
def test_windows_are_half_a_view_in_whole_cells(resolution, side):
    assert window_px(make_codec(PARAMS.pretrain, resolution, 0), resolution) == side


def test_words_of_the_prompts_become_tokens_and_any_text_tokenises():
    tokenizer = train_tokenizer(["crack plate", "mask of crack plate"])
    assert tokenizer.tokenize("Mask of crack plate") == ["mask</w>", "of</w>", "crack</w>", "plate</w>"]
    for text in ("zebra", "é漢 42!", ""):
        assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True).replace(" ", "") == text.replace(
            " ", ""
        )
    assert tokenizer.pad_token_id == tokenizer.eos_token_id and tokenizer.model_max_length == 77


def test_fresh_networks_depend_on_the_seed_alone():
    torch.manual_seed(1)
    first = make_unet(PARAMS.pretrain, 16, 3).state_dict()
    torch.manual_seed(2)
    again, other = make_unet(PARAMS.pretrain, 16, 3).state_dict(), make_unet(PARAMS.pretrain, 16, 4).state_dict()
    assert all(torch.equal(first[n], again[n]) for n in first)
    assert any(not torch.equal(first[n], other[n]) for n in first)


def test_pictures_show_what_their_prompts_say():
    seen = pictures()
    assert seen.prompts("mask") == ["mask of crack plate", "mask of pit plate"]
    assert seen.prompts("normal") == ["good plate"] * 3
    masks = list(seen.fixed("mask", 3, 0))
    assert len(masks) == 6 and all(m.min() == -1 and 0.5 < m.max() <= 1 for m in masks)
    assert all(np.array_equal(m[0], channel) for m in masks for channel in m)
    assert all(view.min() < -0.8 for view in seen.fixed("defect", 3, 0))
    assert all(view.min() > -0.6 for view in seen.fixed("normal", 3, 0))
    rng = np.random.default_rng(0)
    drawn = [seen.draw_kind(rng) for _ in range(2000)]
    assert all(drawn.count(kind) / 2000 == pytest.approx(share, abs=0.04) for kind, share in SHARES.items())
    assert "normal" not in {pictures(normals=0).draw_kind(rng) for _ in range(50)}


def test_a_fixed_view_depends_on_its_image_and_number_alone():
    many, few = list(pictures().fixed("defect", 3, 5)), list(islice(pictures().fixed("defect", 2, 5), 2))
    assert all(np.array_equal(a, b) for a, b in zip(many, few, strict=False))
    assert not np.array_equal(many[0], many[1])


def denoiser():
    tokenizer = train_tokenizer(["crack plate"])
    text, unet = make_text_encoder(PARAMS.pretrain, tokenizer, 0), make_unet(PARAMS.pretrain, 8, 0)
    return Denoiser(text, unet, tokenizer, make_scheduler())


def test_the_unet_learns_the_velocity(monkeypatch):
    model, seen = denoiser(), {}

    def perfect(noised, times, texts):
        seen.update(noised=noised, times=times, texts=texts)
        a = model.scheduler.alphas_cumprod[times][:, None, None, None]
        noise = (noised - a.sqrt() * 0.5) / (1 - a).sqrt()
        return type("Out", (), {"sample": a.sqrt() * noise - (1 - a).sqrt() * 0.5})

    monkeypatch.setattr(type(model.unet), "forward", lambda self, *a: perfect(*a))
    data = [LatentPictures(torch.full((3, 4, 8, 8), 0.5), ["crack plate"] * 3, 1.0)]
    loss = model.loss(data, 20, np.random.default_rng(0), torch.float32)
    assert float(loss) < 1e-8
    assert (seen["times"].diff() > 0).all() and seen["times"].max() >= 950 and seen["times"].min() < 50
    assert seen["texts"].shape == (20, 77, 16)


def test_some_prompts_are_empty():
    model, prompts = denoiser(), []
    object.__setattr__(model, "_texts", lambda drawn: prompts.extend(drawn) or torch.zeros(len(drawn), 77, 16))
    data = [LatentPictures(torch.zeros(3, 4, 8, 8), ["crack plate"] * 3, 1.0)]
    with torch.no_grad():
        model.loss(data, 500, np.random.default_rng(0), torch.float32)
    assert prompts.count("") / 500 == pytest.approx(EMPTY_FRACTION, abs=0.05)
