from datetime import UTC, datetime

import cv2
import numpy as np
import pytest
from rows import pair, sample, trials
from settings import settings

from pipeline_tasks.report.contents import DefectContents, Example, Head, ProductContents
from pipeline_tasks.schema import GOOD
from pipeline_tasks.stages import register as stage

HEAD = Head("v", datetime(2030, 1, 1, tzinfo=UTC), "", False, "run", None)


def product(name="plate", evaluation=None, expectations=(), defects=()):
    empty = {name: {} for name in ("made_again", "rejected", "refused", "base", "test", "shortfall")}
    counts = {"asked_per_defect": 5, "pairs": {"pit": 4}, **empty}
    gate = {"counts": counts, "expectations": list(expectations), "verdict": "passed"}
    return ProductContents(name, {}, gate, evaluation or {}, {}, [], [], defects, "docs")


@pytest.fixture
def example():
    return Example(pair(), sample(GOOD).image)


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


def test_metrics_hold_scores_overall_and_by_defect_counts_and_failures():
    score = {"mean": 0.5, "std": 0.1, "values": [0.4, 0.6]}
    arms = {
        "real_only": {
            "seeds": [0, 1],
            "pixel_ap": score,
            "image_auroc": None,
            "per_defect": {"pit": {"pixel_ap": score}},
        }
    }
    found = stage.metrics([product(evaluation={"arms": arms}, expectations=[{"success": False}, {"success": True}])])
    assert found == {
        "plate/real_only/pixel_ap_mean": 0.5,
        "plate/real_only/pixel_ap_std": 0.1,
        "plate/real_only/pit/pixel_ap_mean": 0.5,
        "plate/real_only/pit/pixel_ap_std": 0.1,
        "plate/pairs/pit": 4.0,
        "plate/gate/failed_expectations": 1.0,
    }


def test_metrics_hold_what_the_strength_of_a_defect_does():
    defect = DefectContents("pit", "plate", list, list, lambda: trials(2, [0, 3, 2], agreement=0.25))
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
def test_a_defect_with_pairs_gets_a_contact_sheet(pairs, example):
    defect = DefectContents("pit", "plate", lambda: [example] * pairs, list, list)
    files = dict(stage.run(HEAD, [product(defects=[defect])]))
    assert set(files) == {"report.html", "quarantine.html"} | ({"samples/plate-pit.jpg"} if pairs else set())
    if pairs:
        sheet = cv2.imdecode(np.frombuffer(files["samples/plate-pit.jpg"], np.uint8), cv2.IMREAD_COLOR)
        assert sheet.shape[1] == 2 * sheet.shape[0]
