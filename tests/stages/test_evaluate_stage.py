import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline_tasks.errors import LeakageError
from pipeline_tasks.images.codec import encode_image, encode_mask
from pipeline_tasks.params import Evaluate
from pipeline_tasks.schema import Pair, Sample
from pipeline_tasks.stages import evaluate as stage

PARAMS = Evaluate(
    threads=1,
    seeds=[0, 7],
    steps=2,
    batch_size=4,
    window_px=32,
    learning_rate=0.01,
    features=[8] * 5,
    max_image_px=64,
    synthetic_fraction=0.5,
    pairs_per_arm=4,
    device="cpu",
)


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small gain nothing from more, and lose much where tests run side by side."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def picture(number, *, defective):
    """PNGs of 40 x 48 px noise, with a dark square and its mask where it is defective."""
    pixels = np.random.default_rng(number).integers(90, 160, (40, 48, 3), dtype=np.uint8)
    mask = np.zeros((40, 48), bool)
    mask[10:18, 20:28] = defective
    pixels[mask] //= 2
    return encode_image(pixels), encode_mask(mask) if defective else None


def sample(split, defect, number):
    path = f"{split}/{defect}/{number:03d}.png"
    area = 0 if defect == "good" else 64
    images = picture(number, defective=area > 0)
    return Sample("plate", defect, split, path, f"sha of {path}", 9, 48, 40, area, area / 1920, None, *images)


def pair(defect, index, backend="inpainting"):
    image, mask = picture(100 + index, defective=True)
    return Pair(
        pair_id=f"plate/{defect}/{index:06d}",
        pair_index=index,
        product="plate",
        defect=defect,
        seed=index,
        backend=backend,
        backend_digest="c" * 64,
        prompt="",
        normal_path="base/good/000.png",
        normal_sha256="sha of base/good/000.png",
        normal_derived=False,
        mask_kind="transformed",
        parent_a=f"base/{defect}/000.png",
        parent_b=f"base/{defect}/000.png",
        alpha=0.0,
        warp=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        width=48,
        height=40,
        mask_area_px=64,
        mask_area_fraction=64 / 1920,
        change_inside=50.0,
        change_outside_max=0,
        image_sha256="e" * 64,
        image=image,
        mask=mask,
    )


BASE = [*(sample("base", d, n) for d in ("good", "pit", "scratch") for n in range(2))]
TEST = [*(sample("test", d, n) for d in ("good", "pit", "scratch") for n in range(10, 12))]
SYNTHETIC = {name: [pair("pit", 0, name), pair("scratch", 1, name)] for name in ("paste", "inpainting")}


def run(base=BASE, test=TEST, synthetic=SYNTHETIC, generator="inpainting", params=PARAMS, advance=lambda: None):
    return stage.run(params, 3, "plate", base, test, synthetic, generator, advance)


@pytest.fixture
def trained(monkeypatch):
    """What each detector was trained with."""
    calls, train = [], stage.train_detector

    def recorded(real, synthetic, params, seed, advance):
        calls.append((real, synthetic, params, seed))
        return train(real, synthetic, params, seed, advance)

    monkeypatch.setattr(stage, "train_detector", recorded)
    return calls


def test_the_result_has_every_arm_beside_the_real_one():
    result = json.loads(json.dumps(run()))
    assert list(result["arms"]) == ["real_only", "real_and_paste", "real_and_inpainting"]
    assert result["product"] == "plate"
    assert result["budget"] == "equal-steps"
    assert result["test_images"] == result["base_images"] == {"good": 2, "pit": 2, "scratch": 2}
    assert [arm["synthetic_images"] for arm in result["arms"].values()] == [0, 2, 2]
    for arm in result["arms"].values():
        assert arm["seeds"] == [0, 7]
        assert set(arm["per_defect"]) == {"pit", "scratch"}
        for scores in (arm, *arm["per_defect"].values()):
            for name in ("pixel_auroc", "pixel_ap", "pixel_f1_max", "image_auroc"):
                assert len(scores[name]["values"]) == 2
                assert all(0 <= value <= 1 for value in scores[name]["values"])


def test_arms_share_steps_seeds_and_real_data(trained):
    run()
    reals, synthetics, params, seeds = zip(*trained, strict=True)
    assert len(trained) == 6
    assert all(real is reals[0] for real in reals)
    assert len(reals[0]) == len(BASE)
    assert set(map(id, params)) == {id(PARAMS)}
    assert seeds[:2] == seeds[2:4] == seeds[4:]
    assert seeds[0] != seeds[1]
    assert [len(synthetic) for synthetic in synthetics] == [0, 0, 2, 2, 2, 2]


def test_progress_ends_where_it_was_said_to():
    advanced = []
    run(advance=lambda: advanced.append(1))
    assert len(advanced) == stage.count_steps(PARAMS, 3, TEST) == 3 * 2 * (2 + 6)


def test_the_same_inputs_give_the_same_result():
    assert run() == run()


def test_the_verdict_compares_the_generator_with_real_data_alone():
    result = run()
    real, ours = (result["arms"][arm]["pixel_ap"]["mean"] for arm in ("real_only", "real_and_inpainting"))
    assert result["verdict"]["outcome"] in {"better", "worse", "undecided"}
    assert f"pixel AP {ours:.3f} against {real:.3f}" in result["verdict"]["sentence"]
    assert "by inpainting" in result["verdict"]["sentence"]


def test_paste_as_the_generator_is_one_arm():
    result = run(synthetic={"paste": SYNTHETIC["paste"]}, generator="paste")
    assert list(result["arms"]) == ["real_only", "real_and_paste"]
    assert "by paste" in result["verdict"]["sentence"]


def test_without_normal_test_images_image_scores_do_not_apply_and_pixel_scores_do():
    result = run(test=[s for s in TEST if s.defect != "good"])
    assert result["reasons"] == {"image_auroc": "there are no normal test images"}
    assert result["arms"]["real_only"]["image_auroc"] is None
    assert result["arms"]["real_only"]["per_defect"]["pit"]["image_auroc"] is None
    assert result["arms"]["real_only"]["pixel_ap"]["mean"] > 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"test": [s for s in TEST if s.defect == "good"]}, "the test split holds no defect image"),
        ({"base": [s for s in BASE if s.defect == "good"]}, "the base split holds no defect image"),
        ({"synthetic": {"inpainting": [], "paste": []}}, "there are no pairs by inpainting and paste"),
        ({"generator": "controlnet"}, "there are no pairs by controlnet"),
    ],
)
def test_where_nothing_can_be_compared_the_verdict_says_why(changes, reason):
    result = run(**changes)
    assert result["arms"] == {}
    assert result["verdict"] == {"outcome": "not_applicable", "sentence": f"No comparison: {reason}."}


def test_a_test_sample_among_the_base_samples_is_refused():
    with pytest.raises(LeakageError, match=r"test/pit/010\.png"):
        run(base=[*BASE, replace(TEST[2], split="base")])


@pytest.mark.parametrize("column", ["normal_path", "parent_a", "parent_b", "normal_sha256"])
def test_a_test_sample_among_a_pairs_sources_is_refused(column):
    source = TEST[2].sha256 if column == "normal_sha256" else TEST[2].source_path
    leaking = {**SYNTHETIC, "inpainting": [pair("pit", 0), replace(pair("pit", 1), **{column: source})]}
    with pytest.raises(LeakageError, match="plate/pit/000001"):
        run(synthetic=leaking)


def test_pairs_are_chosen_evenly_over_defects_and_indices():
    chosen = stage.spread_over_defects({"pit": range(100), "scratch": [8, 2, 5], "stain": []}, 12)
    assert chosen == {"pit": {0, 25, 50, 75}, "scratch": {2, 5, 8}, "stain": set()}
    assert stage.spread_over_defects({"pit": [4], "scratch": [6]}, 1) == {"pit": {4}, "scratch": {6}}
    assert stage.spread_over_defects({}, 5) == {}
