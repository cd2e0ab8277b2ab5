import json
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from benches import CLASSIC, FLIP, MADE, PASTE, REAL, GradedBench, MemoryShelf
from drawn_marks import marked_pairs, mislabelled, pasted_pairs, real_marks
from rows import noisy_sample, pair
from settings import settings, small_detector

from pipeline_tasks.benefit.gate import rule
from pipeline_tasks.benefit.trainings import Bench
from pipeline_tasks.errors import LeakageError
from pipeline_tasks.schema import GOOD
from pipeline_tasks.stages import choose as stage

COUNTS = {GOOD: 4, "pit": 5, "scratch": 4}
BASE = [noisy_sample(defect, n) for defect, number in COUNTS.items() for n in range(number)]
ARMS = ["real_flip", "paste_50", "generator_50", "real"]
GRADES = {FLIP: 2.0, REAL: 1.0, PASTE: 3.0, MADE: 4.0, CLASSIC: 2.5}

pytestmark = pytest.mark.usefixtures("one_thread")


def pair_of(defect, index):
    shown = noisy_sample(defect, 100 + index)
    host = f"base/good/{index % 4:03d}.png"
    return pair(defect, index, image=shown.image, mask=shown.mask, width=48, height=40, normal_path=host)


PAIRS = [pair_of(defect, n) for defect in ("pit", "scratch") for n in range(8)]
SOURCES = {"inpainting": lambda: iter(PAIRS), "paste": lambda: iter(PAIRS)}


def graded(grades=GRADES, **values):
    return GradedBench(lambda arm, path: grades[arm], **values)


def trained(shelf, steps=2, tick=1, **values):
    """A bench that does train; its clock goes on by `tick` seconds whenever it is looked at."""
    ticks = count(step=tick)
    return Bench(small_detector(steps=steps, **values), "unet", shelf, lambda: float(next(ticks)), lambda: None)


def run(bench, base=BASE, pairs=SOURCES, generator="inpainting", seed=3, **choose):
    values = {"arms": ARMS, "folds": 3, "repeats": 2, "draws": 100, "budget_minutes": 0.0, "pairs_per_arm": 16}
    params = settings(choose=values | choose)
    return stage.run(params.choose, params.masks.perlin, seed, "plate", generator, base, pairs, bench)


def as_json(result):
    return json.dumps(result, sort_keys=True, allow_nan=False)


def test_the_result_says_what_was_measured_and_what_to_train_with():
    result = json.loads(as_json(run(graded())))
    assert (result["product"], result["generator"], result["detector"]) == ("plate", "inpainting", "unet")
    assert (result["incumbent"], result["folds"], result["repeats"]) == ("real_flip", 3, 2)
    assert (result["confidence"], result["min_ap"], result["left_out"], result["reason"]) == (0.9, 0.1, [], "")
    assert result["base"] == COUNTS
    assert len({result["base_digest"], result["pairs_digest"]}) == 2
    assert set(result["arms"]) == {"real_flip", "real", "paste_50", "inpainting_50"}
    for arm in result["arms"].values():
        for found in (arm["pixel_ap"], *arm["per_defect"].values()):
            assert len(found["values"]) == 2
            assert all(0 < value <= 1 for value in found["values"])
    for decision in result["defects"].values():
        assert (decision["outcome"], decision["arm"], decision["backend"]) == (
            "synthesis",
            "inpainting_50",
            "inpainting",
        )
        assert (decision["ratio"], decision["augmentation"], decision["best_real"]) == (0.5, "flip", "real_flip")
        assert decision["low"] < decision["gain"] < decision["high"]
        assert decision["probability"] >= 0.9
    assert list(result["defects"]) == ["pit", "scratch"]


def test_the_lift_is_that_of_the_chosen_mixture_over_the_best_real_arm():
    bench = graded()
    result = run(bench)
    assert len(bench.calls) == 4 * 3 * 2  # the one arm that is chosen for all is not trained again
    lift, arms = result["lift"], result["arms"]
    assert (lift["arm"], lift["best_real"], len(lift["gains"])) == ("chosen", "real_flip", 2)
    gains = np.subtract(arms["inpainting_50"]["pixel_ap"]["values"], arms["real_flip"]["pixel_ap"]["values"])
    assert lift["gains"] == pytest.approx(gains.tolist(), abs=1e-4)
    assert list(lift["per_defect"]) == ["pit", "scratch"]
    for defect, found in lift["per_defect"].items():
        assert found == {name: result["defects"][defect][name] for name in ("gain", "low", "high", "probability")}
    assert rule(result, None).standing == "champion"


def test_the_lift_is_over_the_best_real_arm_of_each_defect():
    """Without flips scratches are found better, pits worse: what was trained with both is measured itself."""
    bench = GradedBench(lambda arm, path: 2.5 if arm == REAL and "scratch" in path else GRADES[arm])
    result = run(bench)
    lift, arms = result["lift"], result["arms"]
    assert {d: found["best_real"] for d, found in result["defects"].items()} == {"pit": "real_flip", "scratch": "real"}
    assert lift["best_real"] == "the best real arm of each defect"
    assert len(bench.calls) == 5 * 3 * 2
    assert [recipe for _, recipe, _, _ in bench.calls[-6:]] == [{"pit": FLIP, "scratch": REAL}] * 6
    chosen = arms["inpainting_50"]["pixel_ap"]["mean"]
    assert 0 < lift["gain"] < min(chosen - arms[real]["pixel_ap"]["mean"] for real in ("real_flip", "real")) - 0.01
    for defect, found in lift["per_defect"].items():
        assert found["gain"] == pytest.approx(result["defects"][defect]["gain"])
        assert found["low"] <= found["gain"] <= found["high"]
    assert "differs from the best real arm of each defect by" in rule(result, None).reason


def test_where_defects_are_trained_differently_the_mixture_is_measured_itself():
    only_pits = {source: lambda: iter(PAIRS[:8]) for source in SOURCES}
    bench = graded()
    result = run(bench, pairs=only_pits)
    assert {d: found["arm"] for d, found in result["defects"].items()} == {
        "pit": "inpainting_50",
        "scratch": "real_flip",
    }
    assert len(bench.calls) == 5 * 3 * 2
    assert {str(arm) for arm in bench.calls[-1][1].values()} == {"inpainting_50", "real_flip"}
    assert 0 < result["lift"]["gain"] < run(graded())["lift"]["gain"]
    assert result["lift"]["best_real"] == "real_flip"
    assert result["lift"]["per_defect"]["pit"]["gain"] > result["lift"]["per_defect"]["scratch"]["gain"] == 0


def test_an_arm_without_pairs_of_a_defect_is_none_for_it():
    """What it scores there comes of the pairs of other defects."""
    result = run(graded(), pairs={source: lambda: iter(PAIRS[:8]) for source in SOURCES})
    assert result["defects"]["scratch"]["outcome"] == "no synthesis"
    assert result["defects"]["scratch"]["reason"] == "No synthetic arm was measured."


def test_without_a_gain_real_images_are_recommended_and_there_is_no_lift():
    result = run(graded(GRADES | {PASTE: 1.0, MADE: 1.5}))
    assert {found["outcome"] for found in result["defects"].values()} == {"no synthesis"}
    assert {found["backend"] for found in result["defects"].values()} == {None}
    assert result["lift"] is None
    assert "to be trained on real images alone" in rule(result, None).reason


def test_a_generator_that_pastes_is_one_arm():
    result = run(graded(), generator="paste", pairs={"paste": SOURCES["paste"]})
    assert list(result["arms"]) == ["real_flip", "paste_50", "real"]
    assert {found["outcome"] for found in result["defects"].values()} == {"paste only"}
    assert result["lift"]["gain"] > 0
    assert rule(result, None).standing == "champion"


def test_a_generators_pairs_are_not_chosen_where_pasting_was_not_measured():
    result = run(graded(), arms=["real_flip", "generator_50", "real"])
    assert {found["outcome"] for found in result["defects"].values()} == {"no synthesis"}
    assert all("this is not believed." in found["reason"] for found in result["defects"].values())
    assert result["lift"] is None


def test_where_pasting_wins_the_generators_data_set_is_no_champion():
    result = run(graded(GRADES | {PASTE: 4.0, MADE: 3.0}))
    assert {found["outcome"] for found in result["defects"].values()} == {"paste only"}
    assert result["lift"]["gain"] > 0
    assert rule(result, None).standing == "challenger"


def test_arms_without_pairs_are_left_out_and_named():
    result = run(graded(), pairs={})
    assert list(result["arms"]) == ["real_flip", "real"]
    assert result["left_out"] == [
        f"arm {arm}: there are no defects by {arm[:-3]}" for arm in ("paste_50", "inpainting_50")
    ]
    assert result["lift"] is None


def test_a_defect_that_one_part_shows_is_undecidable_and_trained_as_ever():
    base = [one for one in BASE if one.defect != "scratch"] + [
        replace(one, group="base/scratch/000.png") for one in BASE if one.defect == "scratch"
    ]
    result = run(graded(), base)
    found = result["defects"]["scratch"]
    assert (found["outcome"], found["arm"], found["gain"]) == ("undecidable", "real_flip", None)
    assert result["defects"]["pit"]["outcome"] == "synthesis"
    assert set(result["arms"]["real"]["per_defect"]) == {"pit"}


@pytest.mark.parametrize(
    "base",
    [
        [BASE[4], *BASE[:4]],
        [replace(one, group="g") if one.defect == "pit" else one for one in BASE[:9]],
        BASE[:4],
    ],
)
def test_where_nothing_can_be_left_out_nothing_is_chosen_and_the_reason_is_given(base):
    bench = graded()
    result = run(bench, base)
    assert bench.calls == []
    assert (result["arms"], result["lift"]) == ({}, None)
    assert (result["folds"], result["repeats"]) == (0, 0)
    assert result["reason"] == "No defect is shown by two parts or more, one to learn from and one to be left out."
    assert {found["outcome"] for found in result["defects"].values()} == {"undecidable"}
    assert result["reason"].rstrip(".") in rule(json.loads(as_json(result)), None).reason


def test_pairs_of_a_defect_that_is_learned_on_another_product_cannot_be_measured():
    foreign = [pair("crack", n, source="tile", parent_a="base/pit/001.png") for n in range(3)]
    result = run(graded(), pairs=SOURCES | {"inpainting": lambda: iter([*PAIRS, *foreign])})
    assert result["defects"]["crack"]["outcome"] == "undecidable"
    assert result["defects"]["crack"]["reason"] == "There is no real image of it to measure with."
    assert result["lift"]["gain"] > 0


def test_the_folds_are_those_that_there_were():
    two_pits = BASE[:6]
    result = run(graded(), two_pits, pairs={}, folds=5, repeats=3)
    assert (result["folds"], result["repeats"]) == (2, 3)


@pytest.mark.parametrize("place", [0, -1])
def test_a_test_sample_never_comes_in(place):
    bench, base = graded(), [*BASE]
    base.insert(place, noisy_sample("pit", 9, "test"))
    with pytest.raises(LeakageError, match=r"choose: 'plate/test/pit/009\.png' is a test sample"):
        run(bench, base)
    assert bench.calls == []


def test_a_budget_leaves_arms_and_repeats_out_and_says_so():
    bench = graded(training_seconds=10.0)
    result = run(bench, repeats=4, budget_minutes=4.0)
    assert list(result["arms"]) == ["real_flip", "paste_50", "inpainting_50"]
    assert len(result["arms"]["real_flip"]["pixel_ap"]["values"]) == len(result["lift"]["gains"]) == 2
    assert (result["folds"], result["repeats"]) == (3, 2)
    why = "over the budget of 4 minutes (one repeat of real_flip takes 30 s)"
    assert result["left_out"] == [f"arm real: {why}", f"2 of 4 repeats: {why}"]


def test_the_incumbent_is_the_last_to_be_left_out():
    tight = run(
        graded(training_seconds=1000.0), arms=["paste_50", "real", "generator_50", "real_flip"], budget_minutes=0.1
    )
    assert list(tight["arms"]) == ["real_flip", "paste_50"]
    assert len(tight["left_out"]) == 3
    assert {found["outcome"] for found in tight["defects"].values()} == {"no synthesis"}
    assert "One repeat of the folds decides nothing." in tight["defects"]["pit"]["reason"]


def test_time_is_set_aside_for_a_mixture_of_several_defects():
    """Two arms, two repeats, three folds, a second each: 12 s, and 6 s for the mixture."""

    def kept(base, minutes):
        result = run(graded(), base, arms=["real_flip", "generator_50", "real"], budget_minutes=minutes / 60)
        return list(result["arms"]), len(result["arms"]["real_flip"]["pixel_ap"]["values"])

    one_defect = [one for one in BASE if one.defect != "scratch"]
    assert kept(BASE, 18) == (["real_flip", "inpainting_50"], 2)
    assert kept(BASE, 17.9) == (["real_flip", "inpainting_50"], 1)
    assert kept(one_defect, 18) == (["real_flip", "inpainting_50", "real"], 2)


def test_no_time_is_taken_where_there_is_no_limit():
    bench = graded()
    bench.seconds = None
    assert run(bench)["left_out"] == []


def test_the_order_of_samples_and_pairs_changes_nothing():
    order = np.random.default_rng(1).permutation(len(BASE))
    turned = {source: lambda: iter(PAIRS[::-1]) for source in SOURCES}
    values = {"arms": ["real_flip", "generator_50", "cutpaste_50"], "folds": 2, "normals": 2}
    plain, other = MemoryShelf(), MemoryShelf()
    expected = as_json(run(trained(plain), **values))
    assert as_json(run(trained(other), [BASE[int(i)] for i in order], turned, **values)) == expected
    assert plain.made == other.made


def test_another_seed_cuts_and_trains_otherwise():
    one, other = (run(trained(MemoryShelf()), arms=["real_flip"], folds=2, seed=seed)["arms"] for seed in (3, 4))
    assert one != other


@pytest.mark.parametrize(("kill_after", "slower"), [(0, 1), (1, 1), (2, 90), (6, 90)])
def test_a_killed_run_goes_on_and_ends_as_an_unbroken_one_does(kill_after, slower):
    """It plans by the duration that was kept before the kill, if one was, however slow the machine has become."""
    values = {"arms": ["real_flip", "generator_50", "real"], "folds": 2, "budget_minutes": 0.2}
    unbroken, shelf = MemoryShelf(), MemoryShelf(kill_after)
    expected = run(trained(unbroken), **values)
    assert len(unbroken.made) > 6
    with pytest.raises(KeyboardInterrupt):
        run(trained(shelf), **values)
    assert len(shelf.made) == kill_after
    shelf.kill_after = None
    assert as_json(run(trained(shelf, tick=slower), **values)) == as_json(expected)
    assert shelf.made == unbroken.made
    assert expected["left_out"] == ["arm real: over the budget of 0.2 minutes (one repeat of real_flip takes 2 s)"]


class TestTheGateSeesWhatPairsAreWorth:
    """Real U-Nets on drawn marks: pairs that look like the real ones, the same with their masks shuffled, and pasted
    ones, which show fewer of the colours and gain less."""

    @pytest.fixture(scope="class")
    def shelf(self):
        """What several tests train is trained once."""
        return MemoryShelf()

    def chosen(self, shelf, pairs, pasted=()):
        bench = trained(shelf, steps=60, batch_size=8, learning_rate=0.02)
        arms = ["real_flip", "paste_50", "generator_100"]
        sources = {"inpainting": lambda: iter(pairs), "paste": lambda: iter(pasted)}
        return run(bench, real_marks(), sources, seed=2, arms=arms, folds=2, draws=300, pairs_per_arm=48)

    def test_perfect_pairs_are_chosen_and_make_a_champion(self, shelf):
        result = self.chosen(shelf, marked_pairs(), pasted_pairs())
        found = result["defects"]["mark"]
        assert (found["outcome"], found["backend"]) == ("synthesis", "inpainting")
        assert len(result["lift"]["gains"]) == 2
        assert min(result["lift"]["gains"]) > 0.1
        assert result["lift"]["probability"] >= 0.9
        ruling = rule(result, None)
        assert ruling.standing == "champion"
        assert "positive in every repeat" in ruling.reason

    def test_without_pasted_ones_even_perfect_pairs_are_not_believed(self, shelf):
        result = self.chosen(shelf, marked_pairs())
        found = result["defects"]["mark"]
        assert (found["outcome"], found["arm"], result["lift"]) == ("no synthesis", "real_flip", None)
        assert found["gain"] > 0.1
        assert "pasting shows no gain: this is not believed" in found["reason"]
        assert rule(result, None).standing == "challenger"

    def test_pairs_with_their_masks_shuffled_make_no_champion_though_the_pasted_ones_gain(self, shelf):
        result = self.chosen(shelf, mislabelled(marked_pairs()), pasted_pairs())
        found, arms = result["defects"]["mark"], result["arms"]
        assert (found["outcome"], found["arm"]) == ("paste only", "paste_50")
        assert arms["real_flip"]["pixel_ap"]["mean"] > 0.3 > arms["inpainting_100"]["pixel_ap"]["mean"]
        assert min(result["lift"]["gains"]) > 0.1
        ruling = rule(result, None)
        assert ruling.standing == "challenger"
        assert ruling.reason.endswith(
            "; but that is by paste: its own pairs, by inpainting, are not chosen for any defect."
        )

    def test_without_pasted_ones_such_pairs_are_refused_with_the_reason(self, shelf):
        result = self.chosen(shelf, mislabelled(marked_pairs()))
        found, arms = result["defects"]["mark"], result["arms"]
        assert (found["outcome"], found["arm"], result["lift"]) == ("no synthesis", "real_flip", None)
        assert found["gain"] < -0.1
        assert "inpainting_100, against real_flip: pixel AP -0." in found["reason"]
        assert arms["real_flip"]["pixel_ap"]["mean"] > 0.3 > arms["inpainting_100"]["pixel_ap"]["mean"]
        ruling = rule(result, None)
        assert ruling.standing == "challenger"
        assert ruling.reason.startswith(
            "plate is to be trained on real images alone, so that there is no lift to judge (mark: no synthesis, "
            "as pairs differ from real_flip by -0."
        )
