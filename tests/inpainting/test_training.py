from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from interruptions import Memory
from settings import settings

from pipeline_tasks.inpainting import training, window_loss
from pipeline_tasks.inpainting.network import condition_channels, condition_planes, make_unet, size_multiple, velocity
from pipeline_tasks.inpainting.source import Grain
from pipeline_tasks.inpainting.training import TrainingSet, train
from pipeline_tasks.inpainting.training_windows import DefectImage, defect_window, normal_window
from pipeline_tasks.inpainting.window_loss import to_tensors

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
    return TrainingSet([DefectImage(defect, mask, 1, 2)], [], [pixels], 40.0, WHITE, 2)


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
    monkeypatch.setattr(window_loss, "to_tensors", lambda windows, n: seen.extend(windows) or to_tensors(windows, n))
    own = PARAMS.inpainting.model_copy(update={"appearance_code": coded})
    params = PARAMS.model_copy(update={"steps": 4, "inpainting": own})
    train(make_unet(2, own.channels, 3), training_set(), params, 5, CPU, torch.float32, Memory(), iter)
    marked = [window for window in seen if window.mask.any()]
    assert marked and all(window.look.any() == coded for window in marked)


def test_training_lowers_the_loss():
    params = PARAMS.model_copy(update={"steps": 60})
    unet = make_unet(2, params.inpainting.channels, seed=3)
    losses = train(unet, training_set(), params, 5, CPU, torch.float32, Memory(), iter)
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])


def test_a_training_ends_when_the_images_held_out_are_met_no_better_with_the_best_weights(monkeypatch):
    early = PARAMS.inpainting.early_stop.model_copy(update={"every_steps": 2, "patience": 2})
    own = PARAMS.inpainting.model_copy(update={"early_stop": early})
    params = PARAMS.model_copy(update={"steps": 20, "inpainting": own, "checkpoint_every_steps": 5})
    data = training_set()
    data = replace(data, held_out=data.defects)
    measured = iter([3.0, 1.0, 2.0, 2.5])
    seen = []

    def loss_of(fitting, _):
        seen.append({name: weight.clone() for name, weight in fitting.unet.state_dict().items()})
        return next(measured)

    monkeypatch.setattr(training._Fitting, "held_out_loss", loss_of)
    unet = make_unet(2, own.channels, 3)
    losses = train(unet, data, params, 5, CPU, torch.float32, Memory(), iter)
    assert len(losses) == 8 and all(losses)
    assert all(torch.equal(weight, seen[1][name]) for name, weight in unet.state_dict().items())
    assert any(not torch.equal(weight, seen[2][name]) for name, weight in unet.state_dict().items())


def fitting(data, params=PARAMS):
    unet = make_unet(2, params.inpainting.channels, 3).eval()
    return training._Fitting(unet, data, params, CPU, torch.float32)


def test_the_loss_of_what_is_held_out_is_the_same_for_the_same_weights():
    data = training_set()
    own = fitting(replace(data, held_out=data.defects))
    one, again, other = (own.held_out_loss(seed) for seed in (1, 1, 2))
    assert one == again != other


def test_what_is_held_out_is_told_what_training_is_told():
    data = training_set()
    own = PARAMS.inpainting.model_copy(update={"appearance_code": False})
    plain = fitting(replace(data, held_out=data.defects), PARAMS.model_copy(update={"inpainting": own}))
    told = fitting(replace(data, held_out=data.defects))
    looks = [[w.look.any() for defect in one._held_out for image in defect for w in image] for one in (plain, told)]
    assert not any(looks[0]) and all(looks[1])


def test_each_defect_counts_alike_among_what_is_held_out_and_no_more_images_than_needed(monkeypatch):
    data = training_set()
    few, many = (replace(data.defects[0], defect=defect) for defect in (0, 1))
    own = fitting(replace(data, held_out=[few, *[many] * 20]))
    seen = []
    monkeypatch.setattr(
        training._Fitting, "_loss", lambda _, windows, __: seen.append(windows[0].defect) or float(windows[0].defect)
    )
    assert own.held_out_loss(1) == 0.5 and seen.count(0) == 1 and seen.count(1) == training.HELD_OUT_IMAGES


def test_a_run_that_is_resumed_stops_where_the_unbroken_one_does():
    early = PARAMS.inpainting.early_stop.model_copy(update={"every_steps": 2, "patience": 1})
    params = PARAMS.model_copy(
        update={
            "steps": 40,
            "learning_rate": 0.02,
            "inpainting": PARAMS.inpainting.model_copy(update={"early_stop": early}),
        }
    )
    data = training_set()
    data = replace(data, held_out=data.defects)

    def run(checkpoints, stop_after=None):
        unet = make_unet(2, PARAMS.inpainting.channels, seed=3)
        losses = train(unet, data, params, 5, CPU, torch.float32, checkpoints, lambda r: islice(r, stop_after))
        return unet.state_dict(), losses

    whole, curve = run(Memory())
    assert 2 < len(curve) < 40
    broken = Memory()
    run(broken, stop_after=len(curve) - 1)
    resumed, resumed_curve = run(broken)
    assert resumed_curve == curve and all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_fresh_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    first = make_unet(1, [8, 16], seed=7).state_dict()
    torch.manual_seed(2)
    again, other = make_unet(1, [8, 16], seed=7).state_dict(), make_unet(1, [8, 16], seed=8).state_dict()
    assert all(torch.equal(first[n], again[n]) for n in first)
    assert any(not torch.equal(first[n], other[n]) for n in first)


def test_condition_holds_look_and_defect_inside_the_mask_only():
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., 0, 0] = 1
    look = torch.arange(7.0)[None, :, None, None] * mask
    planes = condition_planes(torch.ones(1, 1, 4, 4), mask, look, torch.tensor([2]), 3)
    assert planes.shape == (1, condition_channels(3) - 3, 4, 4)
    assert planes[0, 2:9, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert planes[0, 9:, 0, 0].tolist() == [0, 0, 1]
    assert (planes[0, 1:, 1:] == 0).all()


@pytest.mark.parametrize("side", [16, 32])
def test_velocity_keeps_the_size(side):
    unet = make_unet(1, [8, 16], seed=0)
    assert side % size_multiple([8, 16]) == 0
    x, planes = torch.zeros(2, 3, side, side), torch.zeros(2, condition_channels(1) - 3, side, side)
    assert velocity(unet, x, planes, torch.zeros(2)).shape == x.shape


def test_windows_are_normalised_and_normal_windows_have_no_defect():
    data, rng = training_set(), np.random.default_rng(0)
    window = defect_window(data.defects[0], 32, data.scale, False, rng)
    assert window.mask.any() and (window.hole >= window.mask).all()
    assert abs(window.pixels[~window.hole].mean()) < 0.1
    assert window.look[window.mask][:, :3].mean() == pytest.approx((30 - 100) / 40, abs=0.05)
    plain = normal_window(data.normals[0], window, data.scale, rng)
    assert not plain.mask.any() and (plain.hole == window.hole).all() and not plain.look.any()
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
