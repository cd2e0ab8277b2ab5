import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import tiny_dit_training
import torch
from accelerate import Accelerator
from diffusers import DDIMScheduler
from interruptions import Memory
from safetensors.torch import load_file
from tiny_dit_training import DIGEST, tiny_base, tiny_params, train_tiny_dit

from pipeline_tasks.diffusion.base_model import open_pipeline
from pipeline_tasks.dit import training
from pipeline_tasks.dit.encoded_views import EncodedViews
from pipeline_tasks.dit.objective import Prediction
from pipeline_tasks.dit.texts import Names, TextBook
from pipeline_tasks.dit.training import Draw, draw
from pipeline_tasks.schema import GOOD

PRODUCTS = [Names("tin", "dot"), Names("lid", "dot"), Names("cup", "cut")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("base")
    tiny_base(path)
    return path


@pytest.fixture(scope="module")
def base(folder):
    return open_pipeline(folder, DIGEST)


def weights_of(generator):
    return {**generator.tdia.state_dict(prefix="tdia."), **generator.mask_head.state_dict(prefix="head.")}


def some_views(normals=2):
    names = [*PRODUCTS, *(name.without_defect() for name in PRODUCTS[:normals])]
    rng = torch.Generator().manual_seed(0)
    latents, masks = torch.randn(len(names), 4, 8, 8, generator=rng), torch.rand(3, 1, 8, 8, generator=rng)
    return EncodedViews(latents, masks, torch.randn(3, 4, 8, 8, generator=rng), names)


@pytest.mark.parametrize(
    "options",
    [{}, {"ema_decay": 0.0, "dit": {"accumulate": 2, "gradient_checkpointing": True, "defect_dropout": 1.0}}],
    ids=["averaged", "in parts, no defect named"],
)
def test_a_resumed_run_equals_the_uninterrupted_one_to_the_bit(base, options):
    whole = train_tiny_dit(base, steps=5, **options)
    broken = Memory()
    train_tiny_dit(base, broken, lambda steps: islice(steps, 3), steps=5, **options)
    assert [len(state["losses"]) for state in broken.states] == [2]
    resumed = train_tiny_dit(base, broken, steps=5, **options)
    assert resumed.losses == whole.losses and 0 not in whole.losses
    first, second = weights_of(whole), weights_of(resumed)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_loss_falls(base):
    losses = train_tiny_dit(base, steps=60, learning_rate=5e-3, dit={"schedule": "constant"}).losses
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:10])


def test_transformer_and_head_learn_and_the_base_does_not(folder):
    base = open_pipeline(folder, DIGEST)
    parts = (base.vae, base.text_encoder, base.unet)
    before = [{name: value.clone() for name, value in part.state_dict().items()} for part in parts]
    short, long = (train_tiny_dit(base, steps=steps, ema_decay=0.0) for steps in (1, 3))
    for part, kept in zip(parts, before, strict=True):
        assert all(torch.equal(kept[name], value) for name, value in part.state_dict().items())
    one, three = weights_of(short), weights_of(long)
    still = {name for name, value in one.items() if torch.equal(value, three[name])}
    assert all(name.endswith("pos_embed.pos_embed") for name in still)
    assert not any(weight.requires_grad for part in (long.tdia, long.mask_head) for weight in part.parameters())


def test_parts_of_a_batch_add_up_to_the_batch(base):
    """Also where a part shows no named defect, and with the attention computed again for the gradients."""
    whole, parts, light = (
        train_tiny_dit(base, dit=own) for own in ({}, {"accumulate": 4}, {"gradient_checkpointing": True})
    )
    assert np.allclose(whole.losses, parts.losses, rtol=1e-4) and np.allclose(whole.losses, light.losses, rtol=1e-4)


def test_several_processes_give_what_one_gives(folder, base, tmp_path):
    alone = train_tiny_dit(base, dit={"accumulate": 2})
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    script = Path(tiny_dit_training.__file__)
    subprocess.run([*start, script, folder, tmp_path / "model"], check=True, capture_output=True, timeout=120)
    together = [float(loss) for loss in (tmp_path / "model" / "losses.txt").read_text().split()]
    assert np.allclose(together, alone.losses, rtol=1e-5)
    for part in ("tdia", "mask_head"):
        weights = load_file(tmp_path / "model" / part / "diffusion_pytorch_model.safetensors")
        for name, value in getattr(alone, part).state_dict().items():
            # AdamW's first steps turn a gradient's rounding into a share of the learning rate.
            torch.testing.assert_close(value, weights.get(name, value), atol=2e-3, rtol=0)


def test_a_step_draws_what_the_parameters_ask_for():
    own = {"product_dropout": 0.2, "defect_dropout": 0.2}
    params = tiny_params(own, batch_size=4000, normal_fraction=0.3).train
    drawn = draw(some_views(), params, 1000, seed=5)
    defective = drawn.views < 3
    assert float(defective.float().mean()) == pytest.approx(0.7, abs=0.03)
    assert not drawn.named[~defective].any()
    assert float(drawn.named[defective].float().mean()) == pytest.approx(0.8, abs=0.03)
    assert float(drawn.with_product[~defective].float().mean()) == pytest.approx(0.8, abs=0.04)
    assert float(drawn.with_product[defective].float().mean()) == pytest.approx(0.768, abs=0.03)
    assert (int(drawn.times.min()), int(drawn.times.max())) == (0, 999)
    assert drawn.noise.shape == (4000, 4, 8, 8) and float(drawn.noise.std()) == pytest.approx(1, abs=0.01)
    assert torch.equal(draw(some_views(), params, 1000, seed=5).noise, drawn.noise)
    assert not torch.equal(draw(some_views(), params, 1000, seed=6).noise, drawn.noise)


def test_every_defect_of_every_product_comes_equally_often_and_so_do_the_products_normal_images():
    """Four views of the tin's dot, one of the lid's, three normal ones of the tin and one of the lid."""
    tin, lid = PRODUCTS[:2]
    names = [*[tin] * 4, lid, *[tin.without_defect()] * 3, lid.without_defect()]
    views = EncodedViews(torch.zeros(9, 4, 8, 8), torch.zeros(5, 1, 8, 8), torch.zeros(5, 4, 8, 8), names)
    drawn = draw(views, tiny_params(batch_size=4000, normal_fraction=0.5).train, 1000, seed=0).views
    shares = [
        torch.isin(drawn, torch.tensor(numbers)).float().mean() for numbers in ([0, 1, 2, 3], [4], [5, 6, 7], [8])
    ]
    assert np.allclose(shares, 0.25, atol=4 * (0.25 * 0.75 / 4000) ** 0.5)
    assert torch.bincount(drawn, minlength=9).min() > 200


def test_without_normal_views_all_are_defects():
    params = tiny_params(batch_size=100, normal_fraction=0.5).train
    assert int(draw(some_views(normals=0), params, 1000, seed=5).views.max()) == 2


def test_parts_make_up_the_draw_and_named_ones_come_first_in_their_order():
    whole = draw(some_views(), tiny_params(batch_size=8).train, 1000, seed=5)
    parts = [whole.part(number, 4) for number in range(4)]
    assert torch.equal(torch.cat([part.noise for part in parts]), whole.noise)
    named = Draw(torch.arange(4), torch.ones(4), torch.tensor([False, True, False, True]), whole.times, whole.noise)
    assert named.named_first().views.tolist() == [1, 3, 0, 2]


class Recorder(torch.nn.Module):
    """Stands for a network; predicts zeros, and remembers what it was asked."""

    def forward(self, noised, times, texts, mapped):
        self.texts, self.mapped = texts, mapped
        rows = len(noised[mapped])
        features = torch.zeros(rows, 4, 8, 8, requires_grad=True)
        return Prediction(torch.zeros_like(noised), torch.full((rows, 2, 4, 4), 0.5), features)


def asked(monkeypatch, base, part, **own):
    """Return what the network is asked to see in training on `part`, the book of texts, and the loss."""
    caught = []
    monkeypatch.setattr(training, "descend", lambda network, draw, loss, *rest: caught.append(loss) or [])
    views = some_views()
    book = TextBook.of(base, views.names, one_prompt=False)
    params = tiny_params(own).train
    network = torch.nn.Module()
    training.train(network, DDIMScheduler(), views, book, Accelerator(cpu=True), params, 0, Memory(), iter)
    recorder = Recorder()
    return recorder, book, caught[0](recorder, part)


def part_of(views, with_product, named):
    count = len(views)
    noise = torch.ones(count, 4, 8, 8)
    return Draw(torch.tensor(views), torch.tensor(with_product), torch.tensor(named), torch.arange(count), noise)


def test_the_network_reads_what_is_left_of_the_names(monkeypatch, base):
    part = part_of([3, 0, 1, 2], [True, False, True, True], [False, True, False, True])
    recorder, book, _ = asked(monkeypatch, base, part)
    expected = book.rows([Names("", "dot"), PRODUCTS[2], Names("tin", GOOD), Names("lid", GOOD)])
    for own, wanted in zip(
        (recorder.texts.background, recorder.texts.defect, recorder.texts.fusion),
        (expected.background, expected.defect, expected.fusion),
        strict=True,
    ):
        assert torch.equal(own.embedding, wanted.embedding) and torch.equal(own.tokens, wanted.tokens)
    assert torch.equal(recorder.texts.name, expected.name)
    assert recorder.mapped == slice(0, 2)


def test_only_named_defects_have_a_loss_of_their_own(monkeypatch, base):
    """The network predicts nothing: denoising costs 1; a named defect of uniform attention adds R |mask|^2 + lambda."""
    views, own = some_views(), {"mask_weight": 0.5, "ratio_min": 3.0, "ratio_max": 3.0}
    recorder, _, loss = asked(monkeypatch, base, part_of([3, 0, 1], [True] * 3, [False, False, True]), **own)
    extra = 3 * views.masks[1].square().mean() + 0.5 * views.mask_latents[1].square().mean()
    torch.testing.assert_close(loss, 1 + extra / 3)
    assert recorder.mapped == slice(0, 1)
    _, _, without = asked(monkeypatch, base, part_of([3, 0, 1], [True] * 3, [False] * 3), **own)
    assert float(without.detach()) == pytest.approx(1)


def test_samples_without_normals_train(base):
    assert len(train_tiny_dit(base, normal_fraction=0.0).losses) == 3
