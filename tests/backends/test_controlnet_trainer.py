from dataclasses import replace

import torch
from blob_product import blob_sample, good_sample
from tiny_training import Memory, tiny_base, tiny_params, tiny_samples

from pipeline_tasks.backends import protocol
from pipeline_tasks.backends.controlnet_trainer import ControlNetTrainer
from pipeline_tasks.backends.protocol import TrainingSamples
from pipeline_tasks.prompts import PromptBook
from pipeline_tasks.schema import GOOD
from pipeline_tasks.stages import train as stage


def test_several_products_train_together(tmp_path):
    prompts = PromptBook({p: {"blob": f"blob {p}", GOOD: f"good {p}"} for p in ("plate", "lid")}, {})
    defects = [blob_sample(0), replace(blob_sample(1), product="lid")]
    trainer = ControlNetTrainer(tiny_params(), tiny_base(tmp_path / "base"))
    generator = stage.run(trainer, 0, "all", defects, iter([good_sample(0)]), prompts, Memory(), iter)
    generator.save(tmp_path / "model")
    assert len(generator.losses) == 3
    assert {path.name for path in (tmp_path / "model").iterdir()} == {"generator.json", "controlnet"}
    assert not [path for path in (tmp_path / "model").rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]


def test_every_product_shows_some_normal_images(tmp_path, monkeypatch):
    monkeypatch.setattr(protocol, "MAX_NORMALS", 1)
    seen = []
    monkeypatch.setattr(PromptBook, "of", lambda self, product, *rest: seen.append((product, *rest)) or "")
    normals = [replace(good_sample(n), product=product) for product in ("plate", "lid") for n in range(2)]
    samples = TrainingSamples([blob_sample(0)], iter(normals), PromptBook({}, {}))
    ControlNetTrainer(tiny_params(), tiny_base(tmp_path)).train(samples, 0, Memory(), iter)
    assert [product for product, defect, path in seen if defect == GOOD and path] == ["plate", "lid"]


def test_another_seed_trains_another_generator(tmp_path):
    base = tiny_base(tmp_path)
    first, again, other = (
        ControlNetTrainer(tiny_params(), base).train(tiny_samples(), seed, Memory(), iter) for seed in (1, 1, 2)
    )
    assert first.losses == again.losses != other.losses
    weights = [g.control.state_dict()["conv_in.weight"] for g in (first, again, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_training_leaves_the_global_random_state_alone(tmp_path):
    base = tiny_base(tmp_path)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    ControlNetTrainer(tiny_params(controlnet={"lora_rank": 2}), base).train(tiny_samples(), 1, Memory(), iter)
    assert torch.equal(torch.get_rng_state(), before)
