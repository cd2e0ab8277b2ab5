import io

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve, roc_auc_score

from pipeline_tasks.measures.pixels import SCORES, count_scores, pixel_scores
from pipeline_tasks.measures.regions import pro_score, region_overlap
from pipeline_tasks.measures.scored import (
    IMAGE_SCORES,
    image_score,
    image_scores,
    localisation_scores,
    over_seeds,
    pack,
    pooled_counts,
    score_image,
    spread,
    unpack,
)


def noisy_map(seed, defect="pit"):
    """Logits that only partly separate a defect, and the mask, empty if there is none."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((40, 60), bool)
    if defect != "good":
        mask[5:15, 10:30] = mask[30:33, 50:53] = True
    return (rng.normal(-2, 2, (40, 60)) + 2 * mask).astype(np.float32), mask


def scored(seed, defect):
    return score_image(f"test/{defect}/{seed}.png", defect, *noisy_map(seed, defect))


def few():
    return [scored(0, "pit"), scored(1, "scratch"), scored(2, "good"), scored(3, "pit"), scored(4, "good")]


def test_a_defect_is_scored_on_its_own_images_and_the_normal_ones():
    maps = [noisy_map(0), noisy_map(2, "good"), noisy_map(3), noisy_map(4, "good")]
    counts = sum(count_scores(*each) for each in maps)
    overlaps, regions = zip(*(region_overlap(*each) for each in maps), strict=True)
    spots = [image_score(logits) for logits, _ in maps]
    scores = localisation_scores(few(), ["pit"])
    assert scores == {
        **pixel_scores(counts),
        "pro": pytest.approx(pro_score(sum(overlaps), sum(regions), counts), abs=1e-6),
        **image_scores(spots[1::2], spots[::2]),
    }
    assert list(scores) == [*SCORES, "pro", *IMAGE_SCORES]
    assert None not in scores.values()


def test_several_defects_are_pooled():
    pooled = localisation_scores(few(), ["pit", "scratch"])
    assert pooled["pixel_ap"] == pixel_scores(pooled_counts(few()))["pixel_ap"]
    assert pooled["pixel_ap"] != localisation_scores(few(), ["pit"])["pixel_ap"]


@pytest.mark.parametrize("images", [[], [scored(2, "good")], few()])
def test_a_defect_without_images_has_no_scores(images):
    assert set(localisation_scores(images, ["crack"]).values()) == {None}


def test_without_normal_images_only_image_scores_do_not_apply():
    scores = localisation_scores([scored(0, "pit")], ["pit"])
    assert [name for name, value in scores.items() if value is None] == list(IMAGE_SCORES)


def test_a_defect_image_with_an_empty_mask_counts_as_an_image_only():
    empty = score_image("e.png", "pit", *noisy_map(5, "good"))
    scores = localisation_scores([empty, scored(2, "good")], ["pit"])
    assert [name for name, value in scores.items() if value is not None] == list(IMAGE_SCORES)


def test_an_image_scores_by_its_strongest_spot_and_a_spot_outdoes_a_pixel():
    pixel, spot = np.full((2, 20, 20), -8, np.float32)
    pixel[10, 10] = spot[9:12, 9:12] = 8
    assert image_score(np.full((20, 20), -8, np.float32)) < image_score(pixel) < image_score(spot) < 1


def test_image_scores_are_scikit_learns():
    rng = np.random.default_rng(0)
    normal, defect = rng.normal(0, 1, 30).tolist(), rng.normal(1, 1, 20).tolist()
    truth, scores = [0] * 30 + [1] * 20, normal + defect
    precision, recall, _ = precision_recall_curve(truth, scores)
    found = image_scores(normal, defect)
    assert found["image_auroc"] == pytest.approx(roc_auc_score(truth, scores))
    assert found["image_ap"] == pytest.approx(average_precision_score(truth, scores))
    assert found["image_f1_max"] == pytest.approx(np.max(2 * precision * recall / (precision + recall + 1e-12)))
    assert found["image_f1"] == pytest.approx(f1_score(truth, np.array(scores) >= 0.5))


@pytest.mark.parametrize(("defect", "f1"), [([0.5, 0.4], 2 / 3), ([0.4, 0.3], 0.0)])
def test_an_image_is_called_defective_from_one_half_on(defect, f1):
    assert image_scores([0.1, 0.49], defect)["image_f1"] == pytest.approx(f1)


def test_image_auroc_counts_pairs_in_order():
    assert image_scores([0.1, 0.4], [0.3, 0.9])["image_auroc"] == pytest.approx(3 / 4)


@pytest.mark.parametrize("images", [few(), []])
def test_images_survive_a_file_without_pickles(images):
    file = io.BytesIO()
    np.savez_compressed(file, **pack(images))
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        back = unpack(dict(arrays))
    assert [(b.source_path, b.defect, b.regions, b.image_score) for b in back] == [
        (each.source_path, each.defect, each.regions, each.image_score) for each in images
    ]
    assert localisation_scores(back, ["pit"]) == localisation_scores(images, ["pit"])


def test_a_test_set_of_many_arms_and_seeds_fits():
    one = scored(0, "pit")
    assert 1000 * 3 * 10 * (one.counts.nbytes + one.overlap.nbytes) < 400e6


def test_scores_over_seeds():
    found = over_seeds([{"pixel_ap": 0.2, "image_auroc": None}, {"pixel_ap": 0.6, "image_auroc": None}])
    assert found["pixel_ap"] == {"mean": 0.4, "std": pytest.approx(0.2828427), "values": [0.2, 0.6]}
    assert found["image_auroc"] is None


def test_one_seed_shows_no_spread():
    assert over_seeds([{"pixel_ap": 0.2}]) == {"pixel_ap": {"mean": 0.2, "std": None, "values": [0.2]}}


def test_the_spread_of_nothing_is_none():
    assert spread([]) is None
