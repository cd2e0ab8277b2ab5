from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from blob_product import good_sample
from diffusers import DDIMScheduler, DiTTransformer2DModel
from interruptions import Memory
from tiny_dit import save_tiny_dit
from tiny_dit_training import BOOK, tiny_base, tiny_params, tiny_samples, train_tiny_dit

from pipeline_tasks.backends import dit_trainer, protocol
from pipeline_tasks.backends.dit_trainer import DitTrainer
from pipeline_tasks.errors import ConfigError
from pipeline_tasks.stages import train as stage


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("base"))


def test_several_products_train_together(base, tmp_path):
    samples = tiny_samples()
    trainer = DitTrainer(tiny_params(), base, None)
    generator = stage.run(trainer, 0, "all", samples.defects, iter(samples.normals), BOOK, Memory(), iter)
    generator.save(tmp_path)
    assert len({sample.product for sample in samples.defects}) == 2 and len(generator.losses) == 3
    assert {path.name for path in tmp_path.iterdir()} == {"generator.json", "tdia", "mask_head", "scheduler"}


def views_seen(monkeypatch, base, samples, **train):
    """Return the views and texts that training is given."""
    seen = []
    monkeypatch.setattr(dit_trainer, "train", lambda *given: seen.append(given) or [])
    DitTrainer(tiny_params(**train), base, None).train(samples, 0, Memory(), iter)
    (_, _, views, book, *_) = seen[0]
    return views, book


def test_a_product_with_normal_images_alone_is_learned_too(monkeypatch, base):
    """The target of zero-shot generation."""
    samples = tiny_samples()
    samples = replace(samples, defects=[sample for sample in samples.defects if sample.product == "plate"])
    views, book = views_seen(monkeypatch, base, samples)
    assert [(one.product, one.defect) for one in views.names[4:]] == [("tin", "good")] * 2 + [("lid", "good")] * 2
    assert book.rows(views.names).name.any(dim=1).all()


def test_every_product_shows_some_normal_images(monkeypatch, base):
    monkeypatch.setattr(protocol, "MAX_NORMALS", 1)
    normals = [replace(good_sample(n), product=product) for product in ("plate", "lid") for n in range(2)]
    samples = replace(tiny_samples(), normals=iter(normals))
    views, _ = views_seen(monkeypatch, base, samples)
    assert [one.product for one in views.names[views.defects :: 2]] == ["tin", "lid"]
    views, _ = views_seen(monkeypatch, base, samples, normal_fraction=0.0)
    assert len(views) == views.defects == 6


def test_a_pretrained_transformer_brings_its_sizes_weights_and_noise_schedule(base, tmp_path):
    folder = save_tiny_dit(tmp_path, layers=3)
    start = SimpleNamespace(
        transformer=DiTTransformer2DModel.from_pretrained(folder / "transformer"),
        scheduler=DDIMScheduler.from_pretrained(folder / "scheduler"),
    )
    changes = {"steps": 1, "learning_rate": 1e-9, "dit": {"blocks": [1, 1, 1], "heads": 7}}
    generator = train_tiny_dit(base, start=start, **changes)
    assert generator.scheduler is start.scheduler and base.scheduler is not start.scheduler
    kept = start.transformer.state_dict()["transformer_blocks.1.attn1.to_q.weight"]
    torch.testing.assert_close(generator.tdia.state_dict()["transformer_blocks.1.attn1.to_q.weight"], kept)


def test_views_that_patches_do_not_divide_are_refused(base):
    with pytest.raises(ConfigError, match="patches of 3 do not divide"):
        train_tiny_dit(base, dit={"patch": 3})


def test_another_seed_trains_another_generator(base):
    first, again, other = (train_tiny_dit(base, seed=seed) for seed in (1, 1, 2))
    assert first.losses == again.losses != other.losses
    for part in ("tdia", "mask_head"):
        weights = [[*getattr(generator, part).parameters()] for generator in (first, again, other)]
        assert all(torch.equal(a, b) for a, b in zip(*weights[:2], strict=True))
        assert any(not torch.equal(a, b) for a, b in zip(*weights[1:], strict=True))


def test_training_leaves_the_global_random_state_alone(base):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    train_tiny_dit(base)
    assert torch.equal(torch.get_rng_state(), before)
