import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from pipeline_tasks.measures.comparison import compare, compare_values
from pipeline_tasks.measures.pixels import LEVELS, LOGIT_LIMIT
from pipeline_tasks.measures.scored import localisation_scores, score_image

STEP = 2 * LOGIT_LIMIT / LEVELS
SIDE = 12
IMAGES = [(f"{defect}/{n}.png", defect) for defect, count in (("pit", 10), ("good", 6)) for n in range(count)]


def score_map(rng, defect, quality):
    """Logits on levels, higher by `quality` on a defect's square; and the mask."""
    mask = np.zeros((SIDE, SIDE), bool)
    mask[3:7, 3:7] = defect != "good"
    logits = np.round(rng.normal(-1, 1.5, mask.shape) / STEP) * STEP + np.round(quality / STEP) * STEP * mask
    return logits.astype(np.float32), mask


def maps_of(seed, qualities, images=IMAGES):
    """The score maps of an arm, [runs][images], whose `qualities` [runs, images] say how good they are."""
    rng = np.random.default_rng(seed)
    return [
        [score_map(rng, defect, quality) for (_, defect), quality in zip(images, run, strict=True)] for run in qualities
    ]


def scored(maps, images=IMAGES):
    return [[score_image(*image, *each) for image, each in zip(images, run, strict=True)] for run in maps]


def arm(seed, quality=1.5, spread=0.0, runs=3, images=IMAGES):
    """An arm; `spread`: how much the quality differs by image, alike in every run."""
    by_image = np.random.default_rng((seed, 1)).normal(quality, spread, len(images))
    return scored(maps_of(seed, np.tile(by_image, (runs, 1)), images), images)


def contrast(ours, theirs, groups=None, seed=0, draws=400, confidence=0.9):
    return compare(ours, theirs, ["pit"], groups or {}, seed, confidence, draws)


def width(found):
    return found.high - found.low


def test_equal_runs_do_not_differ_and_either_is_as_likely_the_better():
    found = contrast(arm(0), arm(0))
    assert (found.difference, found.low, found.high, found.probability) == (0, 0, 0, 0.5)
    assert found.per_run == (0, 0, 0)


def test_a_clearly_better_arm_is_told_from_the_other_whichever_comes_first():
    better, worse = arm(0, quality=2.5), arm(1, quality=1.5)
    found, turned = contrast(better, worse), contrast(worse, better)
    assert found.probability > 0.95
    assert 0 < found.low < found.difference < found.high
    assert turned.probability == pytest.approx(1 - found.probability)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


def test_the_difference_is_that_of_the_pooled_scores_averaged_over_runs():
    ours, theirs = arm(0, quality=2), arm(1)
    gains = [
        localisation_scores(ours_, ["pit"])["pixel_ap"] - localisation_scores(theirs_, ["pit"])["pixel_ap"]
        for ours_, theirs_ in zip(ours, theirs, strict=True)
    ]
    found = contrast(ours, theirs)
    assert found.per_run == pytest.approx(gains)
    assert found.difference == pytest.approx(np.mean(gains))


def test_noise_is_taken_for_a_difference_about_as_often_as_the_confidence_allows():
    pairs = [(arm(2 * n, 2, 1, runs=1), arm(2 * n + 1, 2, 1, runs=1)) for n in range(100)]
    found = [contrast(ours, theirs, draws=200) for ours, theirs in pairs]
    assert 0.82 <= np.mean([each.low <= 0 <= each.high for each in found]) <= 0.96
    assert 0.04 <= np.mean([each.probability >= 0.9 for each in found]) <= 0.17
    assert 0.4 <= np.mean([each.probability > 0.5 for each in found]) <= 0.6


def test_more_confidence_is_a_wider_interval():
    ours, theirs = arm(0, spread=1), arm(1, spread=1)
    assert width(contrast(ours, theirs, confidence=0.99)) > 1.2 * width(contrast(ours, theirs, confidence=0.9))


def copies(runs=3):
    """Two arms on shots of four a part, each scored like the others of its part; and the parts."""
    images = [(f"{defect}/{n}.png", defect) for defect in ("pit", "good") for n in range(24)]
    by_part = np.repeat(np.random.default_rng(5).normal(2, 1, (2, 12)), 4, axis=1)
    arms = [scored(maps_of(seed, np.tile(q, (runs, 1)), images), images) for seed, q in enumerate(by_part)]
    return *arms, {path: path.split("/")[0] + str(int(path.split("/")[1][:-4]) // 4) for path, _ in images}


def test_near_duplicates_do_not_count_as_so_many_images():
    ours, theirs, parts = copies()
    assert width(contrast(ours, theirs, parts)) > 1.5 * width(contrast(ours, theirs))


def test_a_group_with_normal_images_moves_with_its_defect():
    """One part of two is drawn, weighing two: both of its images, or the single one; the other normal image stays."""
    images = [("pit/0.png", "pit"), ("good/0.png", "good"), ("pit/1.png", "pit"), ("good/1.png", "good")]
    part = {"pit/0.png": "part", "good/0.png": "part"}
    found = compare_values(np.array([[0, 0, 0, 1.0]]), np.zeros((1, 4)), images, part, 0, 0.9)
    assert (found.low, found.difference, found.high) == pytest.approx((1 / 5, 1 / 4, 1 / 3))


def test_runs_that_disagree_widen_the_interval():
    alike, unlike = np.full((3, 16), 1.5), np.full((3, 16), 1.5) + np.array([[-0.8], [0], [0.8]])
    theirs = scored(maps_of(1, alike))
    steady, unsteady = (contrast(scored(maps_of(0, q)), theirs) for q in (alike, unlike))
    assert width(unsteady) > 1.5 * width(steady)


def test_the_same_seed_gives_the_same_result_and_another_nearly_so():
    ours, theirs = arm(0, spread=1), arm(1, spread=1)
    first = contrast(ours, theirs, seed=3)
    other = contrast(ours, theirs, seed=4)
    assert contrast(ours, theirs, seed=3) == first != other
    assert (other.low, other.high) == pytest.approx((first.low, first.high), abs=0.3 * width(first))


def naive_gains(ours, theirs, parts, draws, seed):
    """The mean gain in each draw, by scikit-learn on the pixels themselves, image by image and run by run."""
    rng = np.random.default_rng(seed)
    drawn = [rng.multinomial(len(part) - 1, [1 / len(part)] * len(part), draws) for part in parts]
    drawn_runs = rng.multinomial(len(ours) - 1, [1 / len(ours)] * len(ours), draws)
    return [
        np.mean(
            [
                weighted_precision(arms[0], parts, drawn, draw) - weighted_precision(arms[1], parts, drawn, draw)
                for arms, times in zip(zip(ours, theirs, strict=True), drawn_runs[draw], strict=True)
                for _ in range(times)
            ]
        )
        for draw in range(draws)
    ]


def weighted_precision(maps, parts, drawn, draw):
    truth, level, weight = [], [], []
    for part, times in zip(parts, drawn, strict=True):
        for cluster, count in zip(part, times[draw], strict=True):
            for image in cluster:
                logits, mask = maps[image]
                truth, level = [*truth, *mask.ravel()], [*level, *logits.ravel()]
                weight += [count * len(part) / (len(part) - 1)] * mask.size
    return average_precision_score(truth, level, sample_weight=weight)


def test_the_draws_are_those_of_a_loop_over_images_and_runs():
    ours, theirs = (maps_of(seed, np.full((2, 16), quality)) for seed, quality in enumerate((1.8, 1.5)))
    parts = [[[0, 1, 2], *([n] for n in range(3, 10))], [[n] for n in range(10, 16)]]
    gains = naive_gains(ours, theirs, parts, draws=12, seed=9)
    groups = dict.fromkeys((path for path, _ in IMAGES[:3]), IMAGES[0][0])
    found = contrast(scored(ours), scored(theirs), groups, seed=9, draws=12, confidence=0.8)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(gains, [0.1, 0.9])), abs=1e-12)
    assert found.probability == np.mean(np.array(gains) > 0)


def test_other_defects_do_not_enter():
    others = [("crack/0.png", "crack"), ("crack/1.png", "crack")]
    ours, theirs, with_ours, with_theirs = (
        [run + more for run, more in zip(arm(seed), arm(seed + 9, images=extra), strict=True)]
        for extra in ([], others)
        for seed in (0, 1)
    )
    assert contrast(with_ours, with_theirs) == contrast(ours, theirs)


@pytest.mark.parametrize("images", [[], IMAGES[10:], [("crack/0.png", "crack")]])
def test_without_defect_pixels_there_is_nothing_to_compare(images):
    assert contrast(arm(0, images=images), arm(1, images=images)) is None


def test_runs_over_other_images_cannot_be_compared():
    with pytest.raises(ValueError, match="run 3 of 6 scores other images, or in another order"):
        contrast(arm(0), arm(1, images=IMAGES[::-1]))
    with pytest.raises(ValueError, match="zip"):
        contrast(arm(0), arm(1, runs=2))


def right(share, seed, runs=3):
    return (np.random.default_rng(seed).random((runs, len(IMAGES))) < share).astype(float)


def test_accuracies_are_compared_on_the_same_draws():
    ours, theirs = right(0.95, 0), right(0.4, 1)
    found = compare_values(ours, theirs, IMAGES, {}, 0, 0.9)
    assert found.per_run == pytest.approx(ours.mean(axis=1) - theirs.mean(axis=1))
    assert found.probability > 0.95
    assert 0 < found.low < found.difference < found.high
    assert compare_values(ours, ours, IMAGES, {}, 0, 0.9).probability == 0.5
    assert compare_values(np.zeros((3, 0)), np.zeros((3, 0)), [], {}, 0, 0.9) is None


def test_the_spread_over_images_is_that_of_a_mean():
    """Of one defect: the standard error of n values, for which a bootstrap of n draws lacks the factor n / (n - 1)."""
    images = IMAGES[:5]
    values = np.array([[0.1, 0.9, 0.4, 0.2, 0.7]])
    found = compare_values(values, np.zeros((1, 5)), images, {}, 0, 0.6827, draws=20_000)
    assert width(found) / 2 == pytest.approx(np.std(values, ddof=1) / np.sqrt(5), rel=0.06)
