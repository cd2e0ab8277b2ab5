import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_auroc, binary_average_precision

from pipeline_tasks.quality.metrics import (
    LEVELS,
    LOGIT_LIMIT,
    ScoreSheet,
    count_scores,
    image_auroc,
    image_score,
    over_seeds,
    pixel_scores,
)

STEP = 2 * LOGIT_LIMIT / LEVELS


def noisy_map(seed, shape=(40, 60), share=0.1):
    """Logits that only partly separate the defect pixels, and the mask."""
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < share
    return (rng.normal(-2, 2, shape) + 2 * mask).astype(np.float32), mask


def by_hand(logits, mask):
    """Every score from its definition, one threshold at a time."""
    defect, normal = logits[mask], logits[~mask]
    wins = (defect[:, None] > normal).mean() + 0.5 * (defect[:, None] == normal).mean()
    points = []
    for threshold in np.unique(logits)[::-1]:
        found, false = (defect >= threshold).sum(), (normal >= threshold).sum()
        precision, recall = found / (found + false), found / len(defect)
        points.append((recall, precision, 2 * precision * recall / (precision + recall) if found else 0))
    recalls = [0, *(recall for recall, _, _ in points)]
    area = sum((b - a) * p for a, b, (_, p, _) in zip(recalls, recalls[1:], points, strict=False))
    return {"pixel_auroc": wins, "pixel_ap": area, "pixel_f1_max": max(f1 for _, _, f1 in points)}


@pytest.mark.parametrize("seed", range(3))
def test_pixel_scores_are_what_their_definitions_give(seed):
    logits, mask = noisy_map(seed)
    logits = np.round(logits / STEP) * STEP
    assert pixel_scores(count_scores(logits, mask)) == pytest.approx(by_hand(logits, mask))


def test_levels_are_fine_enough_to_agree_with_the_exact_scores():
    logits, mask = noisy_map(3, (300, 300), 0.01)
    scores = pixel_scores(count_scores(logits, mask))
    exact = torch.from_numpy(logits).flatten(), torch.from_numpy(mask).flatten().long()
    assert scores["pixel_auroc"] == pytest.approx(float(binary_auroc(*exact)), abs=1e-3)
    assert scores["pixel_ap"] == pytest.approx(float(binary_average_precision(*exact)), abs=1e-3)


def test_a_perfect_map_scores_one_and_a_reversed_one_none():
    mask = np.arange(12).reshape(3, 4) < 3
    perfect, reversed_ = (np.where(mask, sign, -sign).astype(np.float32) for sign in (5, -5))
    assert set(pixel_scores(count_scores(perfect, mask)).values()) == {1.0}
    assert pixel_scores(count_scores(reversed_, mask))["pixel_auroc"] == 0


def test_logits_beyond_the_limit_are_counted_at_the_ends():
    counts = count_scores(np.float32([[-1e4, 1e4]]), np.array([[False, True]]))
    assert counts[0, 0] == counts[1, -1] == 1
    assert counts.sum() == 2


def test_counts_of_images_add_up_to_those_of_their_pixels_together():
    maps = [noisy_map(seed) for seed in (4, 5)]
    together = count_scores(*(np.concatenate(parts) for parts in zip(*maps, strict=True)))
    assert np.array_equal(sum(count_scores(*each) for each in maps), together)


def test_an_image_scores_by_its_strongest_spot_and_a_spot_outdoes_a_pixel():
    pixel, spot = np.full((2, 20, 20), -8, np.float32)
    pixel[10, 10] = spot[9:12, 9:12] = 8
    assert image_score(np.full((20, 20), -8, np.float32)) < image_score(pixel) < image_score(spot) < 1


def test_image_auroc_counts_pairs_in_order():
    assert image_auroc([0.1, 0.4], [0.3, 0.9]) == pytest.approx(3 / 4)


@pytest.mark.parametrize(("normal", "defect"), [([], [0.5]), ([0.5], [])])
def test_image_auroc_needs_both_kinds_of_image(normal, defect):
    assert image_auroc(normal, defect) is None


def test_a_defect_is_scored_on_its_own_images_and_the_normal_ones():
    maps = {name: noisy_map(seed) for seed, name in enumerate(("pit", "scratch"))}
    normal = noisy_map(7)[0], np.zeros((40, 60), bool)
    sheet = ScoreSheet()
    for name, each in (maps | {"good": normal}).items():
        sheet.add(name, *each)
    own = count_scores(*maps["pit"]) + count_scores(*normal)
    pooled = own + count_scores(*maps["scratch"])
    ranked = image_auroc([image_score(normal[0])], [image_score(maps["pit"][0])])
    assert sheet.scores(["pit"]) == {**pixel_scores(own), "image_auroc": ranked}
    assert sheet.scores(["pit", "scratch"])["pixel_ap"] == pixel_scores(pooled)["pixel_ap"]


def test_without_normal_images_the_image_auroc_does_not_apply():
    sheet = ScoreSheet()
    sheet.add("pit", *noisy_map(0))
    assert sheet.scores(["pit"])["image_auroc"] is None
    assert sheet.scores(["pit"])["pixel_ap"] > 0


def test_scores_over_seeds():
    found = over_seeds([{"pixel_ap": 0.2, "image_auroc": None}, {"pixel_ap": 0.6, "image_auroc": None}])
    assert found["pixel_ap"] == {"mean": 0.4, "std": pytest.approx(0.2828427), "values": [0.2, 0.6]}
    assert found["image_auroc"] is None


def test_one_seed_shows_no_spread():
    assert over_seeds([{"pixel_ap": 0.2}]) == {"pixel_ap": {"mean": 0.2, "std": None, "values": [0.2]}}
