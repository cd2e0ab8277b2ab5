import cv2
import numpy as np
import pytest
from benefit_results import arm, choice, chosen, evaluation, score
from report_contents import CHAMPION, HEAD, defect_contents, example, previous
from report_contents import product as full_product
from rows import trials
from settings import settings

from pipeline_tasks.stages import register as stage

CARDS = {"dataset_card.md": "# Pärchen", "cards/generator.md": "# It"}


def product(name="plate", expectations=(), defects=(), **values):
    """A product without results unless they are given, with four pairs of pits."""
    empty = {name: {} for name in ("made_again", "rejected", "refused", "base", "test", "shortfall")}
    counts = {"asked_per_defect": 5, "pairs": {"pit": 4}, **empty}
    gate = {"counts": counts, "expectations": list(expectations), "verdict": "passed"}
    bare = {"choice": {}, "evaluation": {}, "curves": [], **values}
    return full_product(product=name, gate=gate, defects=defects, **bare)


def files(*products, previous=None, params=None):
    return dict(stage.run(HEAD, products, [CHAMPION], previous, params or {}, CARDS))


def count_values(section):
    return sum(count_values(value) if isinstance(value, dict) else 1 for value in section.values())


def test_every_parameter_is_listed_under_its_dotted_key():
    params = settings()
    flat = stage.flat_params(params)
    assert flat["validate.mask_area.slack"] == str(params.validate_.mask_area.slack)
    assert flat["evaluate.seeds"] == str(params.evaluate.seeds)
    assert flat["generate.controlnet.sae.cap"] == str(params.generate.controlnet.sae.cap)
    sections = params.model_dump(by_alias=True)
    assert len(flat) == count_values(sections)


def test_metrics_hold_scores_by_detector_and_arm_counts_and_failures():
    only = {"pixel_ap": score(0.5, 0.1), "image_auroc": None, "per_defect": {"pit": {"pixel_ap": score(0.4, None)}}}
    arms = {"real_flip": {"synthetic_images": 0, **only, "against": None}}
    results = {"detectors": {"unet": {"about": {}, "reasons": {}, "arms": arms}}}
    found = stage.metrics([product(evaluation=results, expectations=[{"success": False}, {"success": True}])])
    assert found == {
        "plate/unet/real_flip/pixel_ap_mean": 0.5,
        "plate/unet/real_flip/pixel_ap_std": 0.1,
        "plate/unet/real_flip/pit/pixel_ap_mean": 0.4,
        "plate/pairs/pit": 4.0,
        "plate/gate/failed_expectations": 1.0,
    }


def test_metrics_hold_what_an_arm_gains_over_the_incumbent():
    arms = {"paste_50": {"against": arm(0.5, 0.1)["against"]}}
    found = stage.metrics([product(evaluation={"detectors": {"unet": {"arms": arms}}})])
    gains = {name: value for name, value in found.items() if "against" in name}
    assert gains == pytest.approx(
        {
            "plate/unet/paste_50/against_difference": 0.1,
            "plate/unet/paste_50/against_low": 0.08,
            "plate/unet/paste_50/against_high": 0.12,
            "plate/unet/paste_50/against_probability": 0.97,
        }
    )


def test_metrics_hold_what_is_gained_out_of_fold():
    undecided = chosen("undecidable", gain=None, low=None, high=None, probability=None)
    found = stage.metrics([product(choice=choice(defects={"pit": chosen(), "scratch": undecided}))])
    gains = {name.removeprefix("plate/choice/"): value for name, value in found.items() if "choice" in name}
    lift = {"lift_gain": 0.03, "lift_low": 0.02, "lift_high": 0.04, "lift_probability": 0.97}
    pit = {"pit/gain": 0.031, "pit/low": 0.004, "pit/high": 0.06, "pit/probability": 0.97}
    assert gains == pytest.approx({**lift, **pit})
    assert not any("choice" in name for name in stage.metrics([product(choice=choice(defects={}, lift=None))]))


def test_metrics_hold_the_measures_of_generation():
    measures = {"pairs": 200, "real": 7, "network": "resnet18", "kid_resnet18": 12.5, "is_resnet18": None}
    found = stage.metrics([product(evaluation={"generation": {"pit": measures}})])
    measured = {name: value for name, value in found.items() if "generation" in name}
    assert measured == {
        "plate/generation/pit/pairs": 200.0,
        "plate/generation/pit/real": 7.0,
        "plate/generation/pit/kid_resnet18": 12.5,
    }


def test_metrics_hold_what_the_strength_of_a_defect_does():
    defect = defect_contents(trials=trials(2, [0, 3, 2], agreement=0.25))
    found = stage.metrics([product(defects=[defect])])
    figures = {name: value for name, value in found.items() if "strength" in name}
    assert figures == {
        "plate/strength/pit/spearman_mean": pytest.approx(0.5),
        "plate/strength/pit/spearman_least": pytest.approx(0.5),
        "plate/strength/pit/agreement_mean": 0.25,
    }


def test_products_do_not_overwrite_each_others_metrics():
    assert {"plate/pairs/pit", "tile/pairs/pit"} <= set(stage.metrics([product(), product("tile")]))


@pytest.mark.parametrize("pairs", [0, 2])
def test_a_defect_with_pairs_gets_a_contact_sheet(pairs):
    made = files(product(defects=[defect_contents("pit", [example()] * pairs)]))
    assert set(made) == {"report.html", "quarantine.html", *CARDS} | ({"samples/plate-pit.jpg"} if pairs else set())
    if pairs:
        sheet = cv2.imdecode(np.frombuffer(made["samples/plate-pit.jpg"], np.uint8), cv2.IMREAD_COLOR)
        assert sheet.shape[1] == 2 * sheet.shape[0]


def test_the_cards_are_among_the_files_as_they_are():
    made = files(product())
    assert {name: made[name].decode() for name in CARDS} == CARDS


def test_the_report_holds_the_standing_and_what_changed():
    results = {"choice": choice(), "evaluation": evaluation()}
    before = previous(params={"a.key": "1"}, metrics={"plate/choice/lift_gain": 0.01})
    page = files(product(**results), previous=before, params={"a.key": "2"})["report.html"].decode()
    assert CHAMPION.reason in page
    assert '<td class="mono">a.key</td><td class="mono">1</td><td class="mono">2</td>' in page
    assert "<td>0.010</td><td>0.030</td><td>+0.020</td>" in page
