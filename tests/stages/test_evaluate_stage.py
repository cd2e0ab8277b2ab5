import json
from dataclasses import replace

import numpy as np
import pytest
from benches import FLIP, MADE, PASTE, REAL, GradedBench, Guesses, MemoryShelf, brightness
from choices import choice, lift
from rows import SQUARE, noisy_sample, pair, sample
from settings import settings, small_detector

from pipeline_tasks.benefit import likeness
from pipeline_tasks.benefit.arms import Arm
from pipeline_tasks.benefit.trainings import Bench
from pipeline_tasks.errors import LeakageError
from pipeline_tasks.schema import GOOD
from pipeline_tasks.stages import evaluate as stage

DEFECTS = (GOOD, "pit", "scratch")
BASE = [noisy_sample(defect, number) for defect in DEFECTS for number in range(2)]
TEST = [noisy_sample(defect, number, "test") for defect in DEFECTS for number in range(10, 13)]
ARMS = ["real_flip", "generator_50", "paste_50", "real"]
PERLIN = Arm("perlin", 50, "flip")
GRADES = {FLIP: 2.0, MADE: 4.0, PASTE: 1.0, REAL: 1.5, PERLIN: 3.0}
CHOICE = choice(lift(0.03))
GENERATION = {"network": "clip", "weights": "brightness", "view_px": 32}
SMALL_DRAEM = {"steps": 2, "batch_size": 2, "channels": [8, 8], "features": [8] * 5}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def compared_by_brightness(monkeypatch):
    """No network is trained to compare views."""
    monkeypatch.setitem(likeness.GIVEN, "clip", lambda source, key, device: brightness())


def pair_of(defect, index, backend="inpainting"):
    source = noisy_sample(defect, 100 + index)
    return pair(defect, index, backend=backend, image=source.image, mask=source.mask, width=48, height=40)


PAIRS = {name: [pair_of("pit", 0, name), pair_of("scratch", 1, name)] for name in ("paste", "inpainting")}


def graded(**values):
    return GradedBench(lambda arm, path: GRADES[arm], **values)


def of_both(arm):
    """The choice of one arm for both defects."""
    return choice(lift(0.03), defects={defect: {"arm": arm} for defect in ("pit", "scratch")})


def trained(shelf=None, **values):
    """What makes a bench that does train."""
    shelf = MemoryShelf() if shelf is None else shelf
    return lambda kind: Bench(small_detector(**values), kind, shelf, lambda: 0.0, lambda: None)


def evaluated(
    base=BASE, test=TEST, pairs=PAIRS, generator="inpainting", chosen=CHOICE, bench=None, left_out=(), **values
):
    defaults = {"seeds": [0, 7], "arms": ARMS, "draws": 100, "budget_minutes": 0.0, "detectors": ["unet"]}
    params = settings(evaluate=defaults | values | {"generation": GENERATION})
    readers = {source: (lambda of=source: iter(pairs[of])) for source in pairs}
    of = graded()
    parts = base, test, readers, chosen, bench or (lambda kind: of), left_out
    return stage.run(params.evaluate, params.masks.perlin, 3, "plate", generator, *parts)


def run(**changes):
    return evaluated(**changes).result


def arms_of(result, kind="unet"):
    return result["detectors"][kind]["arms"]


def as_json(result):
    return json.dumps(result, sort_keys=True, allow_nan=False)


def test_the_result_has_every_arm_beside_the_incumbent():
    result = json.loads(json.dumps(run(), allow_nan=False))
    assert list(arms_of(result)) == ["real_flip", "chosen", "inpainting_50", "paste_50", "real"]
    assert (result["product"], result["budget"], result["generator"]) == ("plate", "equal-steps", "inpainting")
    assert result["base_images"] == dict.fromkeys(DEFECTS, 2)
    assert result["test_images"] == dict.fromkeys(DEFECTS, 3)
    assert (result["seeds"], result["detectors"]["unet"]["seeds"], result["left_out"]) == ([0, 7], [0, 7], [])
    assert result["headline"] == {"score": "pixel_ap", "detector": "unet"}
    assert [arm["synthetic_images"] for arm in arms_of(result).values()] == [0, 2, 2, 2, 0]
    for arm in arms_of(result).values():
        assert set(arm["per_defect"]) == {"pit", "scratch"}
        assert len(arm["pixel_ap"]["values"]) == 2
    assert [one["source_path"] for one in result["images"]["chosen"]] == sorted(one.source_path for one in TEST)


def test_likeness_and_picture_are_those_of_the_generators_pairs():
    result = run()
    assert list(result["generation"]) == ["pit", "scratch"]
    pit = result["generation"]["pit"]
    assert (pit["pairs"], pit["real"], pit["base"], pit["network"]) == (1, 3, 2, "brightness")
    kinds = {point["kind"] for point in result["embedding"]["points"]}
    assert kinds == {"normal", "real", "inpainting", "paste"}


def test_the_generators_pairs_are_looked_at_even_if_no_arm_trains_with_them():
    result = run(arms=["real_flip"], chosen=of_both("real_flip"))
    assert list(arms_of(result)) == ["real_flip", "chosen"]
    assert [arm["synthetic_images"] for arm in arms_of(result).values()] == [0, 0]
    assert {defect: found["pairs"] for defect, found in result["generation"].items()} == {"pit": 1, "scratch": 1}
    assert {point["kind"] for point in result["embedding"]["points"]} == {"normal", "real", "inpainting"}
    assert result["left_out"] == []


def test_what_was_chosen_is_trained_defect_by_defect():
    bench = graded()
    chosen = choice(lift(0.03), defects={"pit": {"arm": "inpainting_50"}, "crack": {"arm": "paste_50"}})
    result = run(chosen=chosen, bench=lambda kind: bench)
    recipes = [recipe for _, recipe, _, _ in bench.calls]
    assert recipes[2:4] == [{"pit": MADE, "scratch": FLIP}] * 2  # the incumbent for one that the choice does not know
    assert arms_of(result)["chosen"]["synthetic_images"] == 1
    assert "what was chosen" in result["verdict"]["sentence"]


def test_what_was_chosen_has_its_pairs_even_if_no_other_arm_of_that_source_is_asked_for():
    result = run(chosen=of_both("perlin_50"), pairs_per_arm=20)
    assert "perlin_50" not in arms_of(result)
    assert arms_of(result)["chosen"]["synthetic_images"] > 2


def test_the_verdict_is_on_what_was_chosen_against_the_incumbent():
    verdict = run()["verdict"]
    assert verdict["outcome"] == "better"
    assert verdict["sentence"].startswith(
        "On the real test images what was chosen does better than real_flip: pixel AP"
    )
    real = choice(None, outcome="no synthesis")
    assert "inpainting_50 (not chosen) does better than real_flip" in run(chosen=real)["verdict"]["sentence"]
    assert run(chosen=of_both("paste_50"))["verdict"]["outcome"] == "worse"


def test_where_real_images_were_chosen_the_verdict_is_on_the_generators_best_arm_out_of_fold():
    """Not on the one that is best on the test split: that would be chosen by what it is judged on."""

    def judged(**means):
        arms = {arm: {"pixel_ap": {"mean": mean}} for arm, mean in means.items()}
        real = choice(None, outcome="no synthesis", arms=arms)
        bench = GradedBench(lambda arm, path: 1.0 if arm.percent == 100 else GRADES[arm])
        arms = ["real_flip", "generator_50", "generator_100", "paste_50"]
        return run(chosen=real, arms=arms, bench=lambda kind: bench)["verdict"]

    worse = judged(real_flip=0.9, inpainting_50=0.4, inpainting_100=0.5, paste_50=0.8)
    assert worse["outcome"] == "worse"
    assert "inpainting_100 (not chosen) does worse than real_flip" in worse["sentence"]
    better = judged(real_flip=0.9, inpainting_50=0.5, inpainting_100=0.4, paste_50=0.8)
    assert "inpainting_50 (not chosen) does better than real_flip" in better["sentence"]
    assert "inpainting_100 (not chosen)" in judged(real_flip=0.9, inpainting_100=0.4)["sentence"]
    assert judged(real_flip=0.9) == judged() == better  # the first one asked for


def test_paste_as_the_generator_is_one_arm():
    result = run(generator="paste", chosen=choice(None, outcome="no synthesis"))
    assert list(arms_of(result)) == ["real_flip", "chosen", "paste_50", "real"]
    assert "paste_50 (not chosen)" in result["verdict"]["sentence"]
    assert result["generation"]["pit"]["pairs"] == 1


def test_arms_without_pairs_are_left_out_and_named():
    result = run(pairs={}, chosen=choice(None, outcome="no synthesis"))
    assert list(arms_of(result)) == ["real_flip", "chosen", "real"]
    assert result["left_out"] == [
        "arm inpainting_50: there are no defects by inpainting",
        "arm paste_50: there are no defects by paste",
    ]
    assert result["verdict"] == {
        "outcome": "not_applicable",
        "sentence": "No comparison: no arm with pairs was measured.",
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"test": [s for s in TEST if s.defect == GOOD]}, "the test split holds no defect image"),
        ({"test": []}, "the test split holds no defect image"),
        ({"base": [s for s in BASE if s.defect == GOOD], "pairs": {}}, "the base split holds no defect image"),
    ],
)
def test_where_nothing_can_be_compared_the_verdict_says_why(changes, reason):
    found = evaluated(**changes)
    assert (found.result["detectors"], list(found.curves)) == ({}, [])
    assert found.result["verdict"] == {"outcome": "not_applicable", "sentence": f"No comparison: {reason}."}
    assert set(found.result) == set(run())


@pytest.mark.parametrize("test", [TEST, TEST[:2]])
def test_defects_that_were_left_out_are_named(test):
    plain, noted = run(test=test)["verdict"], run(test=test, left_out=["crack"])["verdict"]
    note = " Pairs of crack are left out: 'plate' has no real ones to compare with."
    assert noted == plain | {"sentence": plain["sentence"] + note}


def test_without_normal_images_scores_of_images_do_not_apply():
    bare = {"base": [s for s in BASE if s.defect != GOOD], "test": [s for s in TEST if s.defect != GOOD]}
    result = run(**bare)
    assert result["detectors"]["unet"]["reasons"]["image_auroc"] == "there are no normal test images"
    assert result["verdict"]["outcome"] == "better"


def test_a_budget_is_shared_by_the_detectors_and_each_says_what_it_left_out():
    bench = graded(training_seconds=6.0)
    result = run(bench=lambda kind: replace(bench, kind=kind), detectors=["unet", "draem"], budget_minutes=1.0)
    why = "over the budget of 0.5 minutes (one seed of real_flip takes 6 s)"
    assert result["left_out"] == [
        f"{kind}: arm {arm}: {why}" for kind in ("unet", "draem") for arm in ("paste_50", "real")
    ]


def test_the_seeds_are_those_that_there_was_time_for():
    bench = graded(training_seconds=6.0)
    result = run(bench=lambda kind: bench, seeds=[3, 1, 4, 0, 5], budget_minutes=1.7)
    assert result["seeds"] == result["detectors"]["unet"]["seeds"] == [3, 1, 4, 0]
    assert all(len(arm["pixel_ap"]["values"]) == 4 for arm in arms_of(result).values())


def test_the_order_of_samples_and_pairs_changes_nothing():
    turned = {name: pairs[::-1] for name, pairs in PAIRS.items()}
    plain, other = (MemoryShelf() for _ in range(2))
    values = {"arms": ["real_flip", "generator_50", "cutpaste_50"], "seeds": [0]}
    expected = evaluated(bench=trained(plain), **values)
    found = evaluated(BASE[::-1], TEST[::-1], turned, bench=trained(other), **values)
    assert as_json(found.result) == as_json(expected.result)
    assert found.curves == expected.curves
    assert plain.made == other.made


@pytest.mark.parametrize("kill_after", [0, 4])
def test_a_killed_run_goes_on_and_ends_as_an_unbroken_one_does(kill_after):
    values = {"seeds": [0], "detectors": ["unet", "classifier"]}
    unbroken, shelf = MemoryShelf(), MemoryShelf(kill_after)
    expected = as_json(run(bench=trained(unbroken), **values))
    with pytest.raises(KeyboardInterrupt):
        run(bench=trained(shelf), **values)
    shelf.kill_after = None
    assert as_json(run(bench=trained(shelf), **values)) == expected
    assert shelf.made == unbroken.made
    assert len(shelf.made) == 8  # what was chosen is an arm itself


def test_each_detector_has_scores_of_its_own_and_the_first_gives_the_verdict():
    result = run(bench=trained(draem=SMALL_DRAEM), detectors=["classifier", "unet", "draem"], seeds=[0], arms=ARMS[:2])
    assert list(result["detectors"]) == ["classifier", "unet", "draem"]
    assert result["headline"] == {"score": "accuracy", "detector": "classifier"}
    assert ": accuracy " in result["verdict"]["sentence"]
    assert arms_of(result, "classifier")["chosen"]["accuracy"]["values"]
    assert all(arms_of(result, kind)["chosen"]["pixel_ap"]["values"] for kind in ("unet", "draem"))
    assert result["images"] == {"chosen": []}


def test_a_classifier_sees_synthetic_images_whole_and_a_localiser_what_a_window_can_show():
    whole = sample("pit", 100, pixels=np.full((200, 220, 3), 90, np.uint8), mask=np.pad(SQUARE, ((0, 152), (0, 172))))
    pairs = {"inpainting": [replace(pair_of("pit", 0), image=whole.image, mask=whole.mask)]}
    small = {"params": small_detector(max_image_px=400)}
    benches = {"unet": graded(**small), "classifier": Guesses(lambda arm, path: 9, kind="classifier", **small)}
    run(pairs=pairs, bench=benches.get, detectors=["unet", "classifier"])
    shapes = [benches[kind].calls[0][0].made["inpainting"][0].scene.mask.shape for kind in ("unet", "classifier")]
    assert shapes == [(21 + 6 + 32, 21 + 6 + 32), (200, 220)]


def test_a_classifiers_images_are_opened_as_large_as_its_own_parameters_say():
    whole = sample("pit", 100, pixels=np.full((200, 220, 3), 90, np.uint8), mask=np.pad(SQUARE, ((0, 152), (0, 172))))
    pairs = {"inpainting": [replace(pair_of("pit", 0), image=whole.image, mask=whole.mask)]}
    large = small_detector(max_image_px=400)
    classifier = Guesses(lambda arm, path: 9, kind="classifier", params=large.seen_by("classifier"))
    benches = {"unet": graded(params=large), "classifier": classifier}
    run(base=[*BASE, whole], pairs=pairs, bench=benches.get, detectors=["unet", "classifier"])
    for kind, side in (("unet", 220), ("classifier", 64)):
        material = benches[kind].calls[0][0]
        assert max(max(one.scene.mask.shape) for one in material.real) == side
    assert max(classifier.calls[0][0].made["inpainting"][0].scene.mask.shape) == 64


def test_a_test_sample_among_the_base_samples_is_refused():
    with pytest.raises(LeakageError, match=r"test/pit/010\.png"):
        run(base=[*BASE, replace(TEST[3], split="base")])


@pytest.mark.parametrize(
    ("split", "moved", "complaint"),
    [
        ("base", TEST[3], r"'plate/test/pit/010\.png' is a test sample"),
        ("test", BASE[2], r"'plate/base/pit/000\.png' is a base sample"),
        ("test", replace(TEST[0], derived_from=TEST[3].source_path), "nothing made is measured on"),
    ],
)
def test_a_sample_in_the_wrong_split_is_refused(split, moved, complaint):
    samples = {"base": BASE, "test": TEST}
    with pytest.raises(LeakageError, match=f"evaluate: .*{complaint}"):
        run(**samples | {split: [*samples[split], moved]})


@pytest.mark.parametrize("source", ["paste", "inpainting"])
@pytest.mark.parametrize("column", ["normal_path", "parent_a", "parent_b", "normal_sha256"])
def test_a_test_sample_among_a_pairs_sources_is_refused(source, column):
    origin = TEST[3].sha256 if column == "normal_sha256" else TEST[3].source_path
    leaking = {**PAIRS, source: [pair_of("pit", 0), replace(pair_of("pit", 1), **{column: origin})]}
    with pytest.raises(LeakageError, match="plate/pit/000001"):
        run(pairs=leaking)
