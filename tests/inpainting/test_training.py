from itertools import islice

import numpy as np
import pytest
import torch
from interruptions import Memory
from settings import settings

from pipeline_tasks.inpainting import training
from pipeline_tasks.inpainting.network import condition_channels, condition_planes, make_unet, size_multiple, velocity
from pipeline_tasks.inpainting.source import Grain
from pipeline_tasks.inpainting.training import TrainingSet, to_tensors, train
from pipeline_tasks.inpainting.training_windows import DefectImage, defect_window, normal_window

SMALL = {"window_px": 32, "channels": [8, 16], "dilation_px": 2}
PARAMS = settings(
    train={"steps": 6, "batch_size": 2, "learning_rate": 1e-3, "checkpoint_every_steps": 2, "inpainting": SMALL}
    | {"normal_fraction": 0.4, "ema_decay": 0.9}
).train
WHITE = Grain(np.pad(np.ones((1, 1), np.float32), 7), np.eye(3, dtype=np.float32), 0.2)
CPU = torch.device("cpu")


def training_set():
    rng = np.random.default_rng(0)
    pixels = rng.integers(90, 110, (64, 64, 3)).astype(np.uint8)
    mask = np.zeros((64, 64), bool)
    mask[28:34, 20:40] = True
    defect = pixels.copy()
    defect[mask] = 30
    return TrainingSet([DefectImage(defect, mask, 1)], [pixels], 40.0, WHITE, 2)


def trained(checkpoints, stop_after=None):
    unet = make_unet(2, PARAMS.inpainting.channels, seed=3)
    losses = train(unet, training_set(), PARAMS, 5, CPU, torch.float32, checkpoints, lambda r: islice(r, stop_after))
    return unet.state_dict(), losses


def test_a_resumed_run_equals_the_uninterrupted_one_to_the_bit():
    whole, curve = trained(Memory())
    broken = Memory()
    trained(broken, stop_after=5)
    broken.states = broken.states[:1]
    assert 0 < len(broken.load()["losses"]) < PARAMS.steps
    resumed, resumed_curve = trained(broken)
    assert resumed_curve == curve
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize("coded", [True, False])
def test_the_network_is_told_what_defects_look_like_unless_the_appearance_code_is_off(coded, monkeypatch):
    seen = []
    monkeypatch.setattr(training, "to_tensors", lambda windows, n: seen.extend(windows) or to_tensors(windows, n))
    own = PARAMS.inpainting.model_copy(update={"appearance_code": coded})
    params = PARAMS.model_copy(update={"steps": 4, "inpainting": own})
    train(make_unet(2, own.channels, 3), training_set(), params, 5, CPU, torch.float32, Memory(), iter)
    marked = [window for window in seen if window.mask.any()]
    assert marked and all(window.code.any() == coded for window in marked)


def test_training_lowers_the_loss():
    params = PARAMS.model_copy(update={"steps": 60})
    unet = make_unet(2, params.inpainting.channels, seed=3)
    losses = train(unet, training_set(), params, 5, CPU, torch.float32, Memory(), iter)
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])


def test_fresh_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    first = make_unet(1, [8, 16], seed=7).state_dict()
    torch.manual_seed(2)
    again, other = make_unet(1, [8, 16], seed=7).state_dict(), make_unet(1, [8, 16], seed=8).state_dict()
    assert all(torch.equal(first[n], again[n]) for n in first)
    assert any(not torch.equal(first[n], other[n]) for n in first)


def test_condition_holds_code_and_defect_inside_the_mask_only():
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., 0, 0] = 1
    planes = condition_planes(torch.ones(1, 1, 4, 4), mask, torch.arange(6.0)[None], torch.tensor([2]), 3)
    assert planes.shape == (1, condition_channels(3) - 3, 4, 4)
    assert planes[0, 2:8, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert planes[0, 8:, 0, 0].tolist() == [0, 0, 1]
    assert (planes[0, 1:, 1:] == 0).all()


@pytest.mark.parametrize("side", [16, 32])
def test_velocity_keeps_the_size(side):
    unet = make_unet(1, [8, 16], seed=0)
    assert side % size_multiple([8, 16]) == 0
    x, planes = torch.zeros(2, 3, side, side), torch.zeros(2, condition_channels(1) - 3, side, side)
    assert velocity(unet, x, planes, torch.zeros(2)).shape == x.shape


def test_windows_are_normalised_and_normal_windows_have_no_defect():
    data, rng = training_set(), np.random.default_rng(0)
    window = defect_window(data.defects[0], 32, 2, data.scale, rng)
    assert window.mask.any() and (window.hole >= window.mask).all()
    assert abs(window.pixels[~window.hole].mean()) < 0.1
    assert window.code[:3].mean() == pytest.approx((30 - 100) / 40, abs=0.05)
    plain = normal_window(data.normals[0], window, data.scale, rng)
    assert not plain.mask.any() and (plain.hole == window.hole).all() and not plain.code.any()
    pixels, hole, condition = to_tensors([window, plain], 2)
    assert (
        pixels.shape == (2, 3, 32, 32)
        and hole.shape == (2, 1, 32, 32)
        and condition.shape[1] == condition_channels(2) - 3
    )


def test_cudnn_is_held_to_deterministic_kernels():
    unet, seen = make_unet(2, PARAMS.inpainting.channels, seed=3), []
    unet.register_forward_pre_hook(lambda *_: seen.append(torch.backends.cudnn.deterministic))
    train(unet, training_set(), PARAMS, 5, CPU, torch.float32, Memory(), iter)
    assert seen == [True] * PARAMS.steps
    assert not torch.backends.cudnn.deterministic
