import numpy as np
import pytest
from settings import TINY_BASE, settings

from pipeline_tasks.backends.protocol import MAX_NORMALS, TrainingSamples, some_of_each_product
from pipeline_tasks.errors import ConfigError, DataError, LeakageError
from pipeline_tasks.images.codec import encode_image, encode_mask
from pipeline_tasks.prompts import PromptBook
from pipeline_tasks.schema import GOOD, Sample
from pipeline_tasks.stages import pretrain

PARAMS = settings(backend={"name": "controlnet", "resolution_px": 32}, pretrain=TINY_BASE)
BOOK = PromptBook({p: {"pit": f"pit {p}", GOOD: f"good {p}"} for p in ("plate", "tile")}, {})


class Nowhere:
    state = None

    def load(self):
        return self.state

    def save(self, state):
        self.state = state


def sample(name, defect, split="base", product="plate", derived_from=None):
    pixels = np.full((48, 48, 3), 120, np.uint8)
    mask = np.zeros((48, 48), bool)
    if defect != GOOD:
        mask[20:24, 10:30] = True
        pixels[mask] = 40
    png = None if defect == GOOD else encode_mask(mask)
    area = int(mask.sum())
    centre = (None, None) if defect == GOOD else (20 / 48, 22 / 48)
    image = encode_image(pixels)
    return Sample(product, defect, split, name, "0", 1, 48, 48, area, 0.0, *centre, derived_from, None, image, png)


def run(defects, normals, backend=PARAMS.backend):
    samples = TrainingSamples(defects, normals, BOOK)
    return pretrain.run(PARAMS.pretrain, backend, 0, "all", samples, Nowhere(), lambda part, steps: iter(steps))


def test_trains_one_base_model_on_several_products_and_measures_its_codec():
    products = ("plate", "tile")
    defects = [sample("0", "pit", product=p) for p in products]
    trained = run(defects, [sample(f"n{i}", GOOD, product=p) for p in products for i in range(2)])
    words = set(trained.denoiser.tokenizer.get_vocab())
    assert {"plate</w>", "tile</w>", "pit</w>", "good</w>", "mask</w>"} <= words
    assert len(trained.codec_losses) == len(trained.unet_losses) == 2
    assert 0 < trained.codec_psnr_db < 60


def test_the_codec_sees_neither_held_out_images_nor_what_they_were_made_from(monkeypatch):
    seen = []
    monkeypatch.setattr(pretrain.ScratchTraining, "run", lambda self, *pictures: seen.extend(pictures))
    defects = [sample("a", "pit"), sample("b", "pit")]
    run(defects, [sample("a!", GOOD, derived_from="a"), sample("b!", GOOD, derived_from="b")])
    everything, codec, held = seen
    assert (len(everything.defects), len(everything.normals)) == (2, 2)
    assert (len(codec.defects), len(codec.normals), len(held.normals)) == (1, 1, 1)


@pytest.mark.parametrize(
    ("count", "expected"), [(0, []), (1, []), (2, ["1"]), (7, ["6"]), (8, ["7"]), (17, ["7", "15"])]
)
def test_every_eighth_normal_image_is_held_out_and_at_least_one_of_two(count, expected):
    normals = [sample(str(i), GOOD) for i in range(count)]
    assert [s.source_path for s in pretrain.held_out(normals)] == expected


def test_each_product_has_its_normals():
    normals = [sample(str(i), GOOD, product=p) for p in ("plate", "tile") for i in range(MAX_NORMALS + 3)]
    chosen = [*some_of_each_product(iter(normals))]
    assert [sum(s.product == p for s in chosen) for p in ("plate", "tile")] == [MAX_NORMALS] * 2


def test_a_test_sample_stops_training_by_name():
    with pytest.raises(LeakageError, match=r"pretrain: 'plate/x\.png' is a test sample"):
        run([sample("0", "pit"), sample("x.png", "pit", split="test")], [])
    with pytest.raises(LeakageError, match=r"plate/n\.png"):
        run([sample("0", "pit")], [sample("n.png", GOOD, split="test")])


def test_no_defect_sample_is_an_error_that_says_where_to_look():
    with pytest.raises(DataError, match="set-aside tables"):
        run([], [sample("n", GOOD)])


def test_a_resolution_that_the_networks_cannot_halve_is_refused():
    backend = PARAMS.backend.model_copy(update={"resolution_px": 34})
    with pytest.raises(ConfigError, match=r"backend\.resolution_px = 34 must be a multiple of 4"):
        run([sample("0", "pit")], [], backend)
