import pytest
import torch
from blob_product import PROMPTS, blob_sample, good_sample
from tiny_training import Memory, tiny_base, tiny_params

from pipeline_tasks.backends.controlnet_trainer import ControlNetTrainer
from pipeline_tasks.backends.protocol import TrainingSamples
from pipeline_tasks.controlnet.control_effect import measure_control
from pipeline_tasks.controlnet.encoded_views import encode_views
from pipeline_tasks.controlnet.generator import Generator
from pipeline_tasks.controlnet.network import make_control
from pipeline_tasks.errors import DataError

PARAMS = tiny_params(
    resolution_px=32,
    controlnet={"views_per_image": 16, "prompt_dropout": 0.0},
    steps=120,
    batch_size=8,
    learning_rate=1e-2,
    normal_fraction=0.1,
    ema_decay=0.95,
)


def small_blobs(numbers):
    return [blob_sample(number, side=64, radius=6) for number in numbers]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A random base that predicts velocity, with latents of unit variance, as those of a trained codec are."""
    base = tiny_base(tmp_path_factory.mktemp("base"), prediction_type="v_prediction")
    latents = held_out(base).latents
    base.vae.register_to_config(
        scaling_factor=base.vae.config.scaling_factor / float(latents.std(dim=(0, 2, 3)).mean())
    )
    return base


def held_out(base, count=12):
    return encode_views(base, small_blobs(range(100, 100 + count)), [], PROMPTS, PARAMS.backend, 2, seed=1)


def test_a_trained_control_needs_the_right_masks(base):
    samples = TrainingSamples(small_blobs(range(20)), [good_sample(0)], PROMPTS)
    generator = ControlNetTrainer(PARAMS, base).train(samples, 7, Memory(), iter)
    error = measure_control(generator, held_out(base), 2)
    assert error["shuffled"] > 1.2 * error["true"]


def test_an_untrained_control_does_not_care(base):
    error = measure_control(Generator(base, make_control(base, 0), 32, "window"), held_out(base), 2)
    assert error["true"] == error["shuffled"] > 0


def test_masks_are_shuffled_among_images(base):
    seen = []

    class Spy(torch.nn.Module):
        device = torch.device("cpu")

        def forward(self, noised, times, controlnet_cond, **_):
            seen.append(controlnet_cond[:, :1] > 0)
            return [], torch.zeros(1)

    control = Spy()
    views = held_out(base, count=3)
    unet = base.unet
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unet, "forward", lambda sample, *_, **__: (sample,))
        measure_control(Generator(base, control, 32, "window"), views, 2)
    own, given = seen[0], seen[len(seen) // 2]
    assert torch.equal(own, views.masks)
    whose = [next(n // 2 for n in range(6) if torch.equal(mask, views.masks[n])) for mask in given]
    assert all(other != number // 2 for number, other in enumerate(whose))


def test_views_of_one_image_cannot_be_shuffled(base):
    views = encode_views(base, small_blobs([100]), [], PROMPTS, PARAMS.backend, 2, seed=1)
    with pytest.raises(DataError, match="two defect images"):
        measure_control(Generator(base, make_control(base, 0), 32, "window"), views, 2)
