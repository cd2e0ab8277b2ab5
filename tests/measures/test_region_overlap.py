import numpy as np
import pytest
from scipy.ndimage import label

from pipeline_tasks.measures.pixels import LEVELS, LOGIT_LIMIT, count_scores
from pipeline_tasks.measures.regions import pro_score, region_overlap

STEP = 2 * LOGIT_LIMIT / LEVELS


LARGE, SMALL = np.s_[4:20, 4:24], np.s_[40:44, 40:43]


def two_regions():
    """A mask of a large and a small region."""
    mask = np.zeros((64, 64), bool)
    mask[LARGE] = mask[SMALL] = True
    return mask


def pro(*maps, max_fpr=0.3):
    """The score of maps with their masks, summed as a test set is."""
    overlaps, regions = zip(*(region_overlap(*each) for each in maps), strict=True)
    return pro_score(sum(overlaps), sum(regions), sum(count_scores(*each) for each in maps), max_fpr)


def swept(maps, max_fpr=0.3):
    """The score from its definition: every threshold on the whole arrays, then the area by a fine grid."""
    pieces = [(label(mask, np.ones((3, 3)))[0], logits) for logits, mask in maps]
    normal = np.concatenate([logits[~mask] for logits, mask in maps])
    rates, overlaps = [0.0], [0.0]
    for threshold in np.unique([logits for logits, _ in maps])[::-1]:
        shares = [
            (logits[labels == region] >= threshold).mean()
            for labels, logits in pieces
            for region in range(1, labels.max() + 1)
        ]
        rates.append((normal >= threshold).mean())
        overlaps.append(np.mean(shares))
    return np.interp(np.linspace(0, max_fpr, 200_001), rates, overlaps).mean()


def rounded(logits):
    return (np.round(logits / STEP) * STEP).astype(np.float32)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("max_fpr", [0.3, 0.05])
def test_the_score_is_what_a_sweep_over_all_thresholds_gives(seed, max_fpr):
    rng = np.random.default_rng(seed)
    masks = two_regions(), rng.random((64, 64)) < 0.02, np.zeros((64, 64), bool)
    maps = [(rounded(rng.normal(-2, 2, (64, 64)) + 3 * mask), mask) for mask in masks]
    assert pro(*maps, max_fpr=max_fpr) == pytest.approx(swept(maps, max_fpr), abs=1e-4)


def test_levels_are_fine_enough_to_agree_with_the_exact_score():
    rng = np.random.default_rng(7)
    maps = [((rng.normal(-2, 2, (64, 64)) + 3 * two_regions()).astype(np.float32), two_regions())]
    assert pro(*maps) == pytest.approx(swept(maps), abs=2e-3)


def test_a_perfect_map_scores_one():
    assert pro((np.where(two_regions(), 5, -5).astype(np.float32), two_regions())) == 1


def test_a_random_map_scores_half_the_largest_rate():
    mask = np.random.default_rng(1).random((200, 200)) < 0.1
    logits = np.random.default_rng(0).normal(0, 3, (200, 200)).astype(np.float32)
    assert pro((logits, mask)) == pytest.approx(0.15, abs=0.01)


def test_a_constant_map_scores_as_chance_does():
    assert pro((np.zeros((64, 64), np.float32), two_regions())) == pytest.approx(0.15)


@pytest.mark.parametrize("missed", [LARGE, SMALL])
def test_a_missed_small_region_costs_as_much_as_a_missed_large_one(missed):
    logits = np.where(two_regions(), 5, -5).astype(np.float32)
    logits[missed] = -9
    assert pro((logits, two_regions())) == pytest.approx(1 / 2)


def test_regions_are_eight_connected():
    mask = np.array([[1, 0, 0, 1], [0, 1, 0, 0]], bool)
    overlap, regions = region_overlap(np.zeros((2, 4), np.float32), mask)
    assert regions == 2
    assert overlap[LEVELS // 2] == overlap.sum() == pytest.approx(2)


def test_normal_images_add_false_positives_and_no_region():
    mask, clean = two_regions(), np.zeros((64, 64), bool)
    found = np.where(mask, 2, -5).astype(np.float32)
    overlap, regions = region_overlap(found, clean)
    assert (regions, overlap.any()) == (0, False)
    assert pro((found, mask), (np.full((64, 64), 5, np.float32), clean)) < 0.05 < pro((found, mask), (found, clean))


@pytest.mark.parametrize("side", [False, True])
def test_without_regions_or_without_normal_pixels_there_is_no_score(side):
    assert pro((np.zeros((4, 4), np.float32), np.full((4, 4), side))) is None
