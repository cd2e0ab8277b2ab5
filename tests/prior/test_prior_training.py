from itertools import islice

import pytest
import torch
from interruptions import Memory
from tiny_prior import CHANNELS, draw

from pipeline_tasks.inpainting.network import make_unet
from pipeline_tasks.prior.params import Blocks, PriorTrain
from pipeline_tasks.prior.training import train_prior

CPU = torch.device("cpu")
PARAMS = PriorTrain(
    threads=1,
    workers=0,
    channels=CHANNELS,
    steps=6,
    blocks=Blocks(window_px=32, batch_size=4, wide_every=3),
    learning_rate=0.002,
    ema_decay=0.9,
    checkpoint_every_steps=2,
    device="cpu",
    precision="float32",
)


def trained(checkpoints=None, stop_after=None, seed=0, **changes):
    params, unet = PARAMS.model_copy(update=changes), make_unet(0, CHANNELS, 0)
    with torch.random.fork_rng():
        memory = checkpoints or Memory()
        losses = train_prior(unet, draw, params, seed, CPU, torch.float32, memory, lambda r: islice(r, stop_after))
    return unet.state_dict(), losses


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_resumed_run_equals_the_uninterrupted_one_to_the_bit(one_thread):
    whole, curve = trained()
    broken = Memory()
    trained(broken, stop_after=5)
    broken.states = broken.states[:1]
    assert len(broken.load()["losses"]) == 2
    resumed, resumed_curve = trained(broken)
    assert resumed_curve == curve and same(whole, resumed)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(one_thread, workers):
    whole, curve = trained()
    helped, helped_curve = trained(workers=workers)
    assert helped_curve == curve and same(whole, helped)


def test_another_seed_gives_other_weights(one_thread):
    assert not same(trained()[0], trained(seed=1)[0])


def test_it_learns(one_thread):
    _, losses = trained(steps=60, ema_decay=0.0, checkpoint_every_steps=100)
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
