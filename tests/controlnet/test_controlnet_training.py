import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import tiny_training
import torch
from safetensors.torch import load_file
from tiny_training import Memory, tiny_base, tiny_params, tiny_samples, train_tiny

from pipeline_tasks.controlnet.encoded_views import EncodedViews
from pipeline_tasks.controlnet.training import Draw, draw
from pipeline_tasks.diffusion.base_model import open_pipeline

WEIGHTS = "controlnet/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("base")
    tiny_base(path)
    return path


@pytest.fixture
def base(folder):
    return open_pipeline(folder, "digest of the base")


def copied(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("options", [{}, {"ema_decay": 0.0, "controlnet": {"lora_rank": 2, "accumulate": 2}}])
def test_a_resumed_run_equals_the_uninterrupted_one_to_the_bit(folder, options):
    open_base = lambda: open_pipeline(folder, "")  # noqa: E731
    whole = train_tiny(open_base(), steps=5, **options)
    broken = Memory()
    train_tiny(open_base(), broken, lambda steps: islice(steps, 3), steps=5, **options)
    assert [len(state["losses"]) for state in broken.states] == [2]
    resumed = train_tiny(open_base(), broken, steps=5, **options)
    assert resumed.losses == whole.losses and 0 not in whole.losses
    assert same(resumed.control.state_dict(), whole.control.state_dict())
    assert same(resumed.base.unet.state_dict(), whole.base.unet.state_dict())


def test_the_base_stays_as_it_is_and_the_control_does_not(base):
    parts = {"unet": base.unet, "vae": base.vae, "text": base.text_encoder}
    before = {name: copied(part) for name, part in parts.items()}
    first, trained = (train_tiny(base, steps=steps, ema_decay=0.0).control for steps in (1, 3))
    assert all(same(before[name], part.state_dict()) for name, part in parts.items())
    moved = [name for name, value in first.state_dict().items() if not torch.equal(value, trained.state_dict()[name])]
    assert "controlnet_down_blocks.0.weight" in moved and "conv_in.weight" in moved
    assert not any(weight.requires_grad for weight in trained.parameters())


def test_parts_of_a_batch_add_up_to_the_batch(folder):
    whole, parts, light = (
        train_tiny(open_pipeline(folder, ""), controlnet=own)
        for own in ({}, {"accumulate": 4}, {"gradient_checkpointing": True})
    )
    assert np.allclose(whole.losses, parts.losses, rtol=1e-5) and np.allclose(whole.losses, light.losses, rtol=1e-5)
    for name, value in whole.control.state_dict().items():
        # AdamW's first steps turn a gradient's rounding into a share of the learning rate.
        torch.testing.assert_close(value, parts.control.state_dict()[name], atol=2e-3, rtol=0)


def test_several_processes_give_what_one_gives(folder, base, tmp_path):
    alone = train_tiny(base, controlnet={"accumulate": 2})
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    script = Path(tiny_training.__file__)
    subprocess.run([*start, script, folder, tmp_path / "model"], check=True, capture_output=True, timeout=120)
    together = [float(loss) for loss in (tmp_path / "model" / "losses.txt").read_text().split()]
    assert np.allclose(together, alone.losses, rtol=1e-5)
    weights = load_file(tmp_path / "model" / WEIGHTS)
    for name, value in alone.control.state_dict().items():
        torch.testing.assert_close(value, weights[name], atol=2e-3, rtol=0)


def test_a_constant_schedule_differs_from_a_cosine(base):
    constant, cosine = (train_tiny(base, controlnet={"schedule": kind}) for kind in ("constant", "cosine"))
    assert constant.losses[:2] == cosine.losses[:2] and constant.losses[2] != cosine.losses[2]


def test_the_average_lags_behind_the_weights(base):
    states = [Memory(), Memory()]
    averaged, last = (
        train_tiny(base, memory, ema_decay=decay, checkpoint_every_steps=1).control.state_dict()
        for memory, decay in zip(states, (0.9, 0.0), strict=True)
    )
    assert states[0].states[1]["losses"].tolist() == states[1].states[1]["losses"].tolist()
    name = "conv_in.weight"
    # Step k enters with a share of 1 - k / (9 + k): EMAModel warms up, and takes the first weights as they are.
    first, second = (states[0].states[k][f"weight.control.{name}"] for k in (0, 1))
    expected = first.lerp(second, 1 - 2 / 11).lerp(last[name], 1 - 3 / 12)
    torch.testing.assert_close(averaged[name], expected)


def some_views(defects=3, normals=2):
    count = defects + normals
    prompts = torch.arange(count) + 1
    latents, masks = torch.zeros(count, 4, 8, 8), torch.zeros(defects, 1, 32, 32, dtype=torch.bool)
    return EncodedViews(latents, masks, None, torch.zeros(count + 1, 16, 16), prompts)


def test_a_step_draws_what_the_parameters_ask_for():
    params = tiny_params(batch_size=4000, normal_fraction=0.3, controlnet={"prompt_dropout": 0.2}).train
    drawn = draw(some_views(), params, 1000, seed=5)
    assert float((drawn.views >= 3).float().mean()) == pytest.approx(0.3, abs=0.03)
    assert float((drawn.prompts == 0).float().mean()) == pytest.approx(0.2, abs=0.03)
    kept = drawn.prompts > 0
    assert torch.equal(drawn.prompts[kept], drawn.views[kept] + 1)
    assert (int(drawn.times.min()), int(drawn.times.max())) == (0, 999)
    assert float(drawn.noise.mean()) == pytest.approx(0, abs=0.01) and drawn.noise.shape == (4000, 4, 8, 8)
    assert torch.equal(draw(some_views(), params, 1000, seed=5).noise, drawn.noise)
    assert not torch.equal(draw(some_views(), params, 1000, seed=6).noise, drawn.noise)


def test_without_normal_views_all_are_defects():
    params = tiny_params(batch_size=100, normal_fraction=0.5).train
    assert int(draw(some_views(normals=0), params, 1000, seed=5).views.max()) == 2


def test_parts_make_up_the_draw():
    whole = draw(some_views(), tiny_params(batch_size=8).train, 1000, seed=5)
    parts = [whole.part(number, 4) for number in range(4)]
    assert all(len(part.times) == 2 for part in parts)
    joined = Draw(*(torch.cat([getattr(p, name) for p in parts]) for name in ("views", "prompts", "times", "noise")))
    assert torch.equal(joined.noise, whole.noise) and torch.equal(joined.views, whole.views)


def test_samples_without_normals_train(base):
    assert len(tiny_samples().defects) == 3
    assert len(train_tiny(base, normal_fraction=0.0).losses) == 3
