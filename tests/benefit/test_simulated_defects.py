from dataclasses import replace

import numpy as np
import pytest
from benches import piece, scene
from settings import settings

from pipeline_tasks.benefit.simulated import SIMULATED, normals_of, simulate
from pipeline_tasks.schema import GOOD

PERLIN = settings(masks={"perlin": {"area_max": 0.3}}).masks.perlin


def noisy(number, shape=(64, 80)):
    pixels = np.random.default_rng(number).integers(90, 160, (*shape, 3), dtype=np.uint8)
    shown = replace(scene(shape, defect=None), pixels=pixels, level=float(pixels.mean()), spread=float(pixels.std()))
    return piece(GOOD, f"good/{number}", shown=shown)


NORMALS = [noisy(number) for number in range(3)]


def simulated(source, normals=NORMALS, count=12, defects=("pit", "scratch"), seed=0, margin=200):
    return simulate(source, normals, defects, count, PERLIN, margin, seed)


def host_of(made, normals=NORMALS):
    """The normal images that equal a defect's image outside its mask."""
    return [n for n in normals if (n.scene.pixels == made.scene.pixels)[~made.scene.mask].all()]


@pytest.mark.parametrize("source", SIMULATED)
def test_a_normal_image_is_changed_where_the_mask_says_and_nowhere_else(source):
    made = simulated(source)
    assert 6 <= len(made) <= 12
    for one in made:
        (host,) = host_of(one)
        assert 0 < one.scene.mask.mean() < 0.35
        assert (one.scene.pixels != host.scene.pixels).any(axis=2)[one.scene.mask].mean() > 0.5
        assert host.origins <= one.origins <= {normal.path for normal in NORMALS}


def test_a_texture_comes_from_another_normal_image_as_often_as_there_are_others():
    assert {len(one.origins) for one in simulated("perlin", count=40)} == {1, 2}


@pytest.mark.parametrize("source", SIMULATED)
def test_defects_are_on_the_object(source):
    pixels = np.full((64, 80, 3), 10, np.uint8)
    pixels[16:48, 20:60] = np.random.default_rng(0).integers(150, 200, (32, 40, 3))
    around = replace(NORMALS[0], scene=replace(NORMALS[0].scene, pixels=pixels))
    made = simulated(source, [around], count=20)
    assert made
    assert not any(one.scene.mask[[*range(14), *range(50, 64)]].any() for one in made)
    assert not any(one.scene.mask[:, [*range(18), *range(62, 80)]].any() for one in made)


@pytest.mark.parametrize("source", SIMULATED)
def test_each_is_drawn_from_the_seed_and_its_number_alone(source):
    few, many, others = simulated(source, count=4), simulated(source), simulated(source, seed=1)
    assert [(one.path, one.digest) for one in few] == [(one.path, one.digest) for one in many][: len(few)]
    assert len({one.digest for one in [*many, *others]}) == len(many) + len(others)


def test_defect_names_are_used_evenly():
    names = [one.defect for one in simulated("cutpaste", defects=("a", "b", "c"))]
    assert names == ["a", "b", "c"] * 4


@pytest.mark.parametrize("source", SIMULATED)
def test_one_normal_image_is_enough_and_none_gives_none(source):
    made = simulated(source, NORMALS[:1])
    assert made
    assert {one.origins for one in made} == {frozenset({"good/0"})}
    assert simulated(source, []) == simulated(source, defects=()) == simulated(source, count=0) == []


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (6, 40), (40, 5), (16, 16)])
@pytest.mark.parametrize("source", SIMULATED)
def test_very_small_images_are_no_trouble(source, shape):
    for one in simulated(source, [noisy(0, shape), noisy(1, shape)], count=20):
        assert one.scene.mask.any()
        assert one.scene.pixels.shape == (*one.scene.mask.shape, 3)


@pytest.mark.parametrize("source", SIMULATED)
def test_images_of_several_sizes_are_no_trouble(source):
    assert simulated(source, [noisy(0, (30, 90)), noisy(1, (70, 40))])


def test_what_is_kept_is_around_the_defect():
    whole, cut = simulated("cutpaste")[0], simulated("cutpaste", margin=3)[0]
    assert cut.scene.mask.sum() == whole.scene.mask.sum()
    assert cut.scene.mask.size < whole.scene.mask.size
    assert (cut.scene.level, cut.digest) == (whole.scene.level, whole.digest)


def test_normals_are_told_from_defects():
    assert normals_of([piece("pit", "0"), NORMALS[1]]) == [NORMALS[1]]


def test_another_source_is_an_error():
    with pytest.raises(KeyError, match="paste"):
        simulated("paste")
