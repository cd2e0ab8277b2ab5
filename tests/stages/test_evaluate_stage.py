import json
from dataclasses import replace

import pytest
from rows import noisy_sample, pair
from settings import small_detector

from pipeline_tasks.errors import LeakageError
from pipeline_tasks.stages import evaluate as stage

PARAMS = small_detector(seeds=[0, 7])
DEFECTS = ("good", "pit", "scratch")
BASE = [noisy_sample(defect, number) for defect in DEFECTS for number in range(2)]
TEST = [noisy_sample(defect, number, "test") for defect in DEFECTS for number in range(10, 12)]

pytestmark = pytest.mark.usefixtures("one_thread")


def pair_of(defect, index, backend="inpainting"):
    source = noisy_sample(defect, 100 + index)
    return pair(defect, index, backend=backend, image=source.image, mask=source.mask, width=48, height=40)


SYNTHETIC = {name: [pair_of("pit", 0, name), pair_of("scratch", 1, name)] for name in ("paste", "inpainting")}


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


@pytest.mark.parametrize("test", [TEST, TEST[:2]])
def test_defects_that_were_left_out_are_named(test):
    plain, noted = run(test=test), stage.run(PARAMS, 3, "plate", BASE, test, SYNTHETIC, "inpainting", int, ["crack"])
    note = " Pairs of crack are left out: 'plate' has no real ones to compare with."
    assert noted["verdict"] == plain["verdict"] | {"sentence": plain["verdict"]["sentence"] + note}


def test_a_test_sample_among_the_base_samples_is_refused():
    with pytest.raises(LeakageError, match=r"test/pit/010\.png"):
        run(base=[*BASE, replace(TEST[2], split="base")])


@pytest.mark.parametrize(
    ("split", "moved", "complaint"),
    [
        ("base", TEST[2], r"'plate/test/pit/010\.png' is a test sample"),
        ("test", BASE[2], r"'plate/base/pit/000\.png' is a base sample"),
        ("test", replace(TEST[0], derived_from=TEST[2].source_path), "nothing made is measured on"),
    ],
)
def test_a_sample_in_the_wrong_split_is_refused(split, moved, complaint):
    samples = {"base": BASE, "test": TEST}
    with pytest.raises(LeakageError, match=f"evaluate: .*{complaint}"):
        run(**samples | {split: [*samples[split], moved]})


@pytest.mark.parametrize("column", ["normal_path", "parent_a", "parent_b", "normal_sha256"])
def test_a_test_sample_among_a_pairs_sources_is_refused(column):
    source = TEST[2].sha256 if column == "normal_sha256" else TEST[2].source_path
    leaking = {**SYNTHETIC, "inpainting": [pair_of("pit", 0), replace(pair_of("pit", 1), **{column: source})]}
    with pytest.raises(LeakageError, match="plate/pit/000001"):
        run(synthetic=leaking)


def test_pairs_are_chosen_evenly_over_defects_and_indices():
    chosen = stage.spread_over_defects({"pit": range(100), "scratch": [8, 2, 5], "stain": []}, 12)
    assert chosen == {"pit": {0, 25, 50, 75}, "scratch": {2, 5, 8}, "stain": set()}
    assert stage.spread_over_defects({"pit": [4], "scratch": [6]}, 1) == {"pit": {4}, "scratch": {6}}
    assert stage.spread_over_defects({}, 5) == {}
