import re
from datetime import UTC, datetime

import numpy as np
import pytest

from pipeline_tasks.images.codec import encode_image, encode_mask
from pipeline_tasks.report.contents import DefectContents, Example, Head, ProductContents
from pipeline_tasks.report.page import render
from pipeline_tasks.schema import Pair, Sample, SetAside

HEAD = Head("0123456789ab", datetime(2030, 1, 2, 3, 4, tzinfo=UTC), "f" * 40, False, "run7", None)
IMAGE = encode_image(np.full((60, 40, 3), 90, np.uint8))
MASK = np.zeros((60, 40), bool)
MASK[20:30, 10:20] = True
MASK = encode_mask(MASK)


def sample(defect, path):
    mask = None if defect == "good" else MASK
    return Sample("plate", defect, "base", path, "a" * 64, 9, 40, 60, 100, 0.04, None, IMAGE, mask)


def pair(defect):
    return Pair(
        pair_id=f"plate/{defect}/000000",
        pair_index=0,
        product="plate",
        defect=defect,
        seed=1,
        backend="inpainting",
        backend_digest="a" * 64,
        prompt="p",
        normal_path="train/good/<7>.png",
        normal_sha256="b" * 64,
        normal_derived=False,
        mask_kind="interpolated",
        parent_a="test/pit/1.png",
        parent_b="test/pit/2.png",
        alpha=0.5,
        warp=[1.0] * 6,
        width=40,
        height=60,
        mask_area_px=100,
        mask_area_fraction=0.04,
        change_inside=12.0,
        change_outside_max=0,
        image_sha256="c" * 64,
        image=IMAGE,
        mask=MASK,
    )


def product(defects=("pit", "scratch"), set_aside=(), evaluation=None, empty=()):
    def contents(defect):
        examples = [] if defect in empty else [Example(pair(defect), sample("good", "train/good/<7>.png"))]
        return DefectContents(defect, lambda: examples, lambda: [sample(defect, f"test/{defect}/1.png")])

    counts = {"asked_per_defect": 2, "pairs": dict.fromkeys(defects, 1), "base": {"good": 3}, "test": {}}
    score = {"mean": 0.5, "std": 0.1, "values": [0.5]}
    arms = {"real_only": {"seeds": [0, 1], "pixel_ap": score}, "real_and_paste": {"seeds": [0, 1], "pixel_ap": score}}
    verdict = {"outcome": "undecided", "sentence": "No clear difference."}
    default = {"arms": arms, "budget": "equal-steps", "verdict": verdict}
    return ProductContents(
        product="plate",
        gate={"counts": counts, "expectations": [], "verdict": "passed"},
        evaluation=default if evaluation is None else evaluation,
        curve={"step": [0, 1, 2], "loss": [3.0, 2.0, 1.0]},
        set_aside=set_aside,
        defects=[contents(defect) for defect in defects],
        docs="data_docs/plate/index.html",
    )


def test_every_defect_is_shown_with_its_pairs_and_where_they_come_from():
    page = render(HEAD, [product()])
    for defect in ("pit", "scratch"):
        assert f'id="plate-{defect}"' in page
        assert f"plate/{defect}/000000" in page
        assert f"test/{defect}/1.png" in page
    assert "mask interpolated from test/pit/1.png and test/pit/2.png" in page
    assert page.count("data:image/jpeg;base64,") == 2 * (6 + 2)


def test_the_page_needs_no_other_file_and_no_network():
    page = render(HEAD, [product()])
    assert not re.search(r"https?://|<script|<link|url\(", page)
    assert set(re.findall(r'href="([^"]*)"', page)) == {"#plate", "data_docs/plate/index.html"}


def test_the_head_names_version_code_date_and_run():
    page = render(HEAD, [product()])
    for text in ("0123456789ab", "f" * 12, "02 January 2030, 03:04 UTC", "run7"):
        assert text in page
    assert "uncommitted changes" not in page


def test_the_run_is_linked_where_mlflow_is_a_server():
    head = Head("v", HEAD.created, "", True, "run7", "http://mlflow:5000/#/runs/run7")
    page = render(head, [product()])
    assert '<a href="http://mlflow:5000/#/runs/run7">run7</a>' in page
    assert "not in git" in page
    assert "uncommitted changes" in page


def test_the_verdict_stands_before_the_scores_with_the_real_only_arm_first():
    page = render(HEAD, [product()])
    places = [page.index(text) for text in ("No clear difference.", "real images only", "real and paste")]
    assert places == sorted(places)


def test_a_product_without_evaluation_or_pairs_is_still_reported():
    page = render(HEAD, [product(evaluation={}, empty=["pit"])])
    assert "Does it help" not in page
    assert "No pairs were made." in page


@pytest.mark.parametrize(("number", "more"), [(0, None), (3, None), (60, "and 10 more")])
def test_files_set_aside_are_listed_with_their_reason(number, more):
    files = [SetAside("plate", f"train/{i}.png", "unreadable image", "cut off") for i in range(number)]
    page = render(HEAD, [product(set_aside=files)])
    assert page.count("unreadable image") == min(number, 50)
    assert ("No raw file was set aside" in page) == (number == 0)
    assert more is None or more in page


def test_file_names_cannot_inject_markup():
    page = render(HEAD, [product()])
    assert "train/good/&lt;7&gt;.png" in page
    assert "<7>" not in page


def test_the_same_contents_give_the_same_page():
    assert render(HEAD, [product()]) == render(HEAD, [product()])
