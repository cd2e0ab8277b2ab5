import numpy as np
import pytest

from pipeline_tasks.errors import ConfigError, DataError, LeakageError
from pipeline_tasks.images.codec import encode_image, encode_mask
from pipeline_tasks.params import Train
from pipeline_tasks.schema import GOOD, Sample
from pipeline_tasks.stages import train

PARAMS = Train(
    backend="inpainting",
    threads=1,
    steps=2,
    batch_size=2,
    window_px=32,
    learning_rate=1e-3,
    channels=[8, 16],
    normal_fraction=0.5,
    ema_decay=0.9,
    dilation_px=2,
    checkpoint_every_steps=5,
    device="cpu",
    precision="float32",
)


class Nowhere:
    def load(self):
        return None

    def save(self, state):
        raise AssertionError("no checkpoint is due")


def sample(name, defect, split="base"):
    pixels = np.full((48, 48, 3), 120, np.uint8)
    mask = np.zeros((48, 48), bool)
    if defect != GOOD:
        mask[20:24, 10:30] = True
        pixels[mask] = 40
    png = None if defect == GOOD else encode_mask(mask)
    return Sample(
        "plate", defect, split, name, "0" * 64, 1, 48, 48, int(mask.sum()), 0.0, None, encode_image(pixels), png
    )


def run(defects, normals, params=PARAMS):
    return train.run(params, 0, "plate", defects, normals, Nowhere(), iter)


def test_knows_every_defect_by_name_in_order():
    model, losses = run([sample("1", "scratch"), sample("0", "pit")], [sample("n", GOOD)])
    assert model.defects == ["pit", "scratch"] and len(losses) == PARAMS.steps
    assert (model.window_px, model.dilation_px) == (32, 2) and model.scale > 20


def test_trains_without_normal_images():
    assert run([sample("0", "pit")], [])[0].defects == ["pit"]


def test_a_test_sample_stops_training_by_name():
    with pytest.raises(LeakageError, match=r"plate/x\.png is a test sample"):
        run([sample("0", "pit"), sample("x.png", "pit", split="test")], [])
    with pytest.raises(LeakageError, match=r"plate/n.png"):
        run([sample("0", "pit")], [sample("n.png", GOOD, split="test")])


def test_no_defect_sample_is_an_error_that_says_where_to_look():
    with pytest.raises(DataError, match="set-aside table"):
        run([], [sample("n", GOOD)])


def test_a_window_that_the_network_cannot_halve_is_refused():
    deep = PARAMS.model_copy(update={"channels": [8, 8, 8, 8, 8], "window_px": 48})
    with pytest.raises(ConfigError, match=r"train.window_px = 48 must be a multiple of 32"):
        run([sample("0", "pit")], [], deep)
