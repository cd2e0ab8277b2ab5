import pytest

from pipeline_tasks.report.over_draws import arms_by_detector, durations, likeness


def score(*values):
    return {"mean": sum(values) / len(values), "std": 0.01, "values": list(values)}


def run(name="", generator="inpainting", detectors=None, **values):
    evaluation = {"detectors": {d: {"arms": arms} for d, arms in (detectors or {}).items()}} | values.pop("told", {})
    return {"name": name, "generator": generator, "evaluation": evaluation, "seconds": {}, "pairs": {}} | values


def test_the_arms_of_one_draw_are_as_evaluated_and_other_runs_bear_their_name():
    first = {"real_flip": {"pixel_ap": score(0.5)}, "paste_50": {"pixel_ap": score(0.6)}}
    other = {"real_flip": {"pixel_ap": score(0.9)}, "dit_50": {"pixel_ap": score(0.7)}, "chosen": {}}
    draw = [run(detectors={"unet": first}), run("dit", "dit", {"unet": other, "draem": other})]
    assert arms_by_detector([draw]) == {
        "unet": first | {"dit_50 [dit]": {"pixel_ap": score(0.7)}},
        "draem": {"dit_50 [dit]": {"pixel_ap": score(0.7)}},
    }


def test_over_draws_the_spread_is_of_the_draws_means():
    gains = [0.1, 0.3]
    arms = [
        {"real_flip": {"pixel_ap": score(m - 0.05, m + 0.05), "pro": None, "synthetic_images": 0, "against": None}}
        | {"paste_50": {"pixel_ap": score(m + g), "synthetic_images": 9, "against": {"difference": g}}}
        for m, g in zip((0.4, 0.6), gains, strict=True)
    ]
    found = arms_by_detector([[run(detectors={"unet": each})] for each in arms])["unet"]
    assert found["real_flip"]["pixel_ap"] == {"mean": 0.5, "std": pytest.approx(0.1414, abs=1e-4), "values": [0.4, 0.6]}
    assert found["real_flip"]["against"] is None and "pro" not in found["real_flip"]
    assert found["paste_50"]["against"] == {"mean": 0.2, "std": pytest.approx(0.1414, abs=1e-4), "values": gains}
    assert found["paste_50"]["synthetic_images"] == 9


def test_an_arm_that_a_draw_lacks_is_over_those_that_have_it():
    draws = [[run(detectors={"unet": {"real": {"pro": score(0.2)}}})], [run(detectors={"unet": {}})]]
    assert arms_by_detector(draws)["unet"]["real"]["pro"] == {"mean": 0.2, "std": None, "values": [0.2]}


def test_likeness_is_over_draws_by_run_defect_and_measure():
    told = [{"generation": {"pit": {"kid_own": kid, "network": "resnet18", "pairs": 9}}} for kid in (1.0, 3.0)]
    found = likeness([[run(told=each)] for each in told])
    assert found["inpainting"]["pit"]["kid_own"]["mean"] == 2.0
    assert set(found["inpainting"]["pit"]) == {"kid_own", "pairs"}, "numbers alone"
    assert likeness([[run(evaluation=None)]]) == {"inpainting": {}}


def test_durations_are_of_training_and_of_each_pair():
    seconds = {"pretrain@plate": 1.0, "train@plate": 60.0, "masks@plate-pit": 9.0, "generate@plate-pit": 5.0}
    first = run(seconds=seconds, pairs={"pit": 50})
    without = run("no-sae", seconds={"generate@plate-pit": 2.5}, pairs={"pit": 50})
    found = durations([[first, without]])
    assert found["inpainting"]["training"]["mean"] == 61.0 and found["inpainting"]["pair"]["mean"] == 0.1
    assert found["no-sae"]["training"]["mean"] == 61.0, "the first run's training is its own too"
    assert found["no-sae"]["pair"]["mean"] == 0.05


@pytest.mark.parametrize("seconds", [{}, {"train@plate": 60.0, "generate@plate-pit": None}])
def test_what_was_resumed_or_not_run_has_no_duration(seconds):
    assert durations([[run(seconds=seconds, pairs={"pit": 50})]])["inpainting"]["pair"] is None
