import numpy as np
import pytest

from pipeline_tasks.images.similarity import SIDE_PX, KnownDefects, change_hash, structure


def defect(seed, level=120, shape=(60, 80), at=(20, 30), side=(15, 22)):
    """A textured rectangle, less its corners, on a plain ground of `level`; and its mask."""
    texture = np.random.default_rng(seed).normal(0, 25, (*side, 1))
    pixels, mask = np.full((*shape, 3), level, np.float32), np.zeros(shape, bool)
    part = np.s_[at[0] : at[0] + side[0], at[1] : at[1] + side[1]]
    mask[part] = True
    mask[at[0], at[1]] = mask[at[0] + side[0] - 1, at[1] + 3] = False
    pixels[part] = level - 40 + texture
    return np.clip(pixels, 0, 255).astype(np.uint8), mask


KNOWN = KnownDefects((f"{seed}.png", structure(*defect(seed))) for seed in range(8))


def nearest(pixels, mask):
    return KNOWN.nearest(structure(pixels, mask))


def test_a_copy_is_told_by_name_and_another_defect_is_not_like_any():
    assert nearest(*defect(3)) == ("3.png", pytest.approx(1))
    others = [nearest(*defect(seed))[1] for seed in range(100, 140)]
    assert max(others) < 0.4


@pytest.mark.parametrize("side", [(1, 1), (1, 2), (2, 2), (2, 3), (2, 4), (3, 3), (4, 4)])
def test_a_defect_of_few_pixels_is_no_copy_by_chance(side):
    def dots(seed):
        pixels, mask = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8), np.zeros((8, 8), bool)
        mask[2 : 2 + side[0], 2 : 2 + side[1]] = True
        return structure(pixels, mask)

    few = KnownDefects((f"{seed}.png", dots(seed)) for seed in range(10))
    assert np.mean([few.nearest(dots(seed))[1] > 0.97 for seed in range(100, 200)]) < 0.03


@pytest.mark.parametrize("quarter", range(4))
@pytest.mark.parametrize("reflected", [False, True])
def test_a_turned_or_reflected_copy_is_a_copy(quarter, reflected):
    turned = [np.rot90(side[:, ::-1] if reflected else side, quarter) for side in defect(5)]
    assert nearest(*map(np.ascontiguousarray, turned)) == ("5.png", pytest.approx(1, abs=1e-4))


def test_neither_place_nor_ground_nor_brightness_nor_contrast_matter():
    pixels, mask = defect(2, at=(3, 50))
    pixels[~mask] = np.random.default_rng(0).integers(0, 256, (int((~mask).sum()), 3))
    assert nearest(pixels, mask) == ("2.png", pytest.approx(1))
    for factor, offset in ((0.5, 0), (0.5, 90)):
        assert nearest((pixels * factor + offset).astype(np.uint8), mask) == ("2.png", pytest.approx(1, abs=0.01))


def test_a_larger_copy_is_a_copy():
    pixels, mask = (side.repeat(3, axis=0).repeat(3, axis=1) for side in defect(6))
    assert nearest(pixels, mask)[0] == "6.png" and nearest(pixels, mask)[1] > 0.9


def test_half_a_copy_is_less_than_a_copy():
    pixels, mask = defect(1)
    pixels[:27] = defect(50)[0][:27]
    assert 0.5 < nearest(pixels, mask)[1] < 0.9


@pytest.mark.parametrize(
    "mask", [np.zeros((9, 9), bool), np.ones((9, 9), bool), np.eye(9) * 0 + (np.arange(9) == 4) > 0]
)
def test_nothing_and_a_defect_of_one_level_have_no_structure(mask):
    found = structure(np.full((9, 9, 3), 77, np.uint8), mask)
    assert found.shape == (SIDE_PX, SIDE_PX) and not found.any()
    assert KNOWN.nearest(found)[1] == 0


def test_structure_is_of_norm_1_within_the_defect():
    pixels, mask = defect(0)
    found = structure(pixels, mask)
    assert np.linalg.norm(found) == pytest.approx(1)
    assert not found[:4].any() and not found[-4:].any() and found[:, 0].any() and found[:, -1].any(), "it lies across"


def change(seed=0, at=(20, 30), ground=120):
    """Return the hash of a textured rectangle, put on a noisy ground of that level."""
    pixels, mask = defect(seed, at=at, shape=(90, 120))
    normal = np.random.default_rng(7).integers(ground - 20, ground + 20, pixels.shape).astype(np.uint8)
    return change_hash(np.where(mask[..., None], pixels, normal), normal)


def test_the_hash_tells_like_changes_from_others_whatever_the_background():
    one = change()
    assert len(one) == 16
    assert bits_between(one, change(ground=180)) <= 10 < 16 < bits_between(one, change(at=(60, 80)))


def test_nothing_changed_has_a_hash_too():
    assert len(change_hash(*[np.zeros((8, 8, 3), np.uint8)] * 2)) == 16


def bits_between(one, other):
    return (int(one, 16) ^ int(other, 16)).bit_count()
