from dataclasses import replace

import numpy as np
import pytest
from benches import brightness, piece, scene
from settings import settings, small_detector

from pipeline_tasks.benefit import likeness
from pipeline_tasks.benefit.likeness import Likeness
from pipeline_tasks.benefit.material import Material
from pipeline_tasks.detectors.windows import around_defect
from pipeline_tasks.schema import GOOD

PARAMS = settings(evaluate={"generation": {"network": "own", "view_px": 32, "pairs": 4}}).evaluate.generation
MEASURES = {"kid", "fid", "is", "perceptual", "ic_perceptual", "nearest_base", "closer_to_base"}

pytestmark = pytest.mark.usefixtures("one_thread")


def noisy(defect, number, shape=(60, 70), where=np.s_[20:30, 25:40]):
    shown = scene(shape, defect=None if defect == GOOD else where)
    rng = np.random.default_rng([number, *defect.encode()])
    pixels = rng.integers(90, 160, (*shape, 3), dtype=np.uint8)
    pixels[shown.mask] //= 2
    return piece(defect, f"{defect}/{number}", shown=replace(shown, pixels=pixels))


def pieces(defect, *numbers):
    return [noisy(defect, number) for number in numbers]


BASE = [*pieces("pit", 0, 1), *pieces("scratch", 0, 1), *pieces(GOOD, 0, 1)]
MADE = {"inpainting": pieces("pit", 20, 21, 22, 23, 24, 25), "paste": pieces("scratch", 30, 31)}
TEST = [*pieces("pit", 10, 11, 12), *pieces("scratch", 10)]


def likeness_of(base=BASE, made=MADE, test=TEST, **values):
    return Likeness(PARAMS.model_copy(update=values), small_detector(), "plate", Material(base, made), test, 3)


@pytest.fixture
def given(monkeypatch):
    """Views are compared by their brightness."""
    monkeypatch.setitem(likeness.GIVEN, "clip", lambda source, key, device: brightness())


def test_measures_are_of_the_generators_pairs_by_defect_and_named_with_their_network():
    found = likeness_of().measures("inpainting")
    assert list(found) == ["pit", "scratch"]
    pit, scratch = found["pit"], found["scratch"]
    assert pit["network"] == "resnet18_plate"
    assert {f"{name}_resnet18_plate" for name in MEASURES} < set(pit)
    assert (pit["pairs"], pit["real"], pit["base"]) == (4, 3, 2)
    assert pit["mask_iou"] == 1
    assert np.isfinite(pit["kid_resnet18_plate"])
    assert pit["reasons"] == {"fid_resnet18_plate": pit["reasons"]["fid_resnet18_plate"]}
    assert (scratch["pairs"], scratch["real"], scratch["mask_iou"]) == (0, 1, None)
    assert scratch["kid_resnet18_plate"] is None
    assert "needs 2 views of either kind" in scratch["reasons"]["kid_resnet18_plate"]


def test_the_same_arguments_give_the_same_measures_and_picture():
    both = [(one.measures("inpainting"), one.embedding()) for one in (likeness_of(), likeness_of())]
    assert both[0] == both[1]


def test_the_picture_shows_every_kind(given):
    found = likeness_of(network="clip").embedding()
    shown = [(point["kind"], point["defect"]) for point in found["points"]]
    assert found["network"] == "brightness"
    assert shown == [
        *[("normal", GOOD)] * 2,
        *[("real", "pit")] * 2,
        *[("real", "scratch")] * 2,
        *[("real", "pit")] * 3,
        ("real", "scratch"),
        *[("inpainting", "pit")] * 6,
        *[("paste", "scratch")] * 2,
    ]


def test_a_picture_of_nothing_or_too_few_is_none(given):
    assert likeness_of([], {}, [], network="clip").embedding() is None
    assert likeness_of(pieces(GOOD, 0, 1), {}, [], network="clip").embedding() is None
    assert likeness_of(pieces("pit", 0), {}, [], network="clip").embedding() is None


def test_views_that_all_look_alike_have_no_picture(given):
    alike = [piece(defect, f"{defect}/{n}") for defect in ("pit", GOOD) for n in range(4)]
    assert likeness_of(alike, {"inpainting": alike[:4]}, [], network="clip").embedding() is None


def test_one_defect_without_normal_images_teaches_no_network_and_that_is_told():
    alone = likeness_of(pieces("pit", 0, 1))
    assert alone.embedding() is None
    found = alone.measures("inpainting")["pit"]
    assert found["network"] is None
    assert found["mask_iou"] == 1
    assert "one class alone" in found["reasons"]["network"]
    assert likeness_of(pieces("pit", 0, 1)[:1] + pieces("scratch", 0)).measures("inpainting")["pit"]["network"]


@pytest.mark.parametrize(("view", "extent"), [(300, 30), (32, 200)])
def test_a_pair_is_viewed_as_a_real_image_of_the_same_is(given, view, extent):
    """A pair is held as what surrounds its defect, a real image whole."""
    shown = scene((400, 400), defect=np.s_[100 : 100 + extent, 150 : 150 + extent])
    pixels = np.random.default_rng(0).integers(0, 255, (400, 400, 3), dtype=np.uint8)
    real = piece("pit", "pit/0", shown=replace(shown, pixels=pixels))
    made = replace(real, scene=around_defect(real.scene, small_detector().window_px))
    (of_real,), (of_made,) = (
        likeness_of([real], {"inpainting": [made]}, [], view_px=view)._views([one]) for one in (real, made)
    )
    assert of_real[0] == of_made[0] == "pit"
    assert (of_real[1] == of_made[1]).all()


def test_very_small_images_are_no_trouble(given):
    tiny = [noisy(defect, n, (5, 4), np.s_[1:3, 1:2]) for defect in (GOOD, "pit") for n in range(3)]
    found = likeness_of(tiny, {"inpainting": tiny[3:]}, tiny[3:], network="clip")
    assert found.measures("inpainting")["pit"]["pairs"] == 3
    assert len(found.embedding()["points"]) == 12
