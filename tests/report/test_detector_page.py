import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from detector_records import UNMEASURED, record

from pipeline_tasks.report.contents import Head
from pipeline_tasks.report.detector_page import RegisteredDetector, render
from pipeline_tasks.report.words import arm_words

HEAD = Head("a1b2c3", datetime(2026, 5, 1, 8, tzinfo=UTC), "0123456789abcdef", True, "run7", None)


def page(given=None, note="", head=HEAD, **changes):
    values = {"number": "3", "standing": "champion", "reason": "It gains.", "champion": "3", "is_new": True} | changes
    detector = RegisteredDetector(given or record("2"), "defectline-plate-unet", **values)
    return render("plate", head, note, [detector])


def test_the_release_of_the_data_set_is_told_beside_its_version():
    assert "a1b2c3 (dataset-3)</dd>" in page(head=replace(HEAD, release="3"))
    assert "a1b2c3</dd>" in page()


def words(html):
    return " ".join(re.sub(r"<[^>]+>", " ", html.split("</style>")[1]).split())


def test_the_verdict_comes_first_then_the_evidence():
    said = words(page())
    parts = [
        "champion Version 3 of defectline-plate-unet is the one to use. It gains.",
        'mlflow.pyfunc.load_model("models:/defectline-plate-unet@champion")',
        "Out of fold",
        "2 deep scratch, 3 pit and 40 normal",
        "repeat 1 repeat 2 mean this detector 0.540 0.520 0.530 the champion then, version 2 0.500 0.500 0.500",
        "difference +0.040 +0.020 +0.030",
        "On the real test split 4 deep scratch, 20 pit and 30 normal test images, which have no part in the decision.",
        "pixel AP PRO pixel AUROC image AUROC this detector 0.625 0.750 0.900 –",
        "the champion then, version 2 0.500 0.750 0.900 –",
        "What it was trained on",
        f"deep scratch 2 0 {arm_words('real_flip')} pit 3 100 {arm_words('inpainting_50')}",
        "40 normal images beside them; generator inpainting; seed 0.",
    ]
    places = [said.find(part) for part in parts]
    assert -1 not in places and places == sorted(places), dict(zip(parts, places, strict=True))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"standing": "challenger", "champion": "2"}, "is kept beside; version 2 is the champion. It gains."),
        ({"champion": "2"}, 'It loads with mlflow.pyfunc.load_model("models:/defectline-plate-unet/3")'),
        ({"standing": "challenger", "champion": None}, "is kept beside; no version is champion yet. It gains."),
        ({"is_new": False}, "It was trained before on just the same, so nothing new was registered."),
        ({"standing": "challenger"}, "is the one to use. A person or another version has changed what the gate made"),
    ],
)
def test_what_it_is_now_is_told_from_what_the_gate_made_of_it(changes, said):
    assert said in words(page(**changes))


def test_without_champions_there_is_one_row_and_the_incumbent():
    said = words(page(record(), note="No data set is the champion.", head=HEAD))
    assert "No data set is the champion." in said
    assert f"{arm_words('real_flip')} 0.500 0.500 0.500" in said
    assert "champion then" not in said


def test_what_could_not_be_measured_says_why():
    said = words(page(record("2", UNMEASURED)))
    assert "Nothing was measured: no defect is shown by two parts." in said
    assert "difference" not in said and "only these decide" not in said


def test_without_test_images_the_rest_is_told():
    nothing = dict.fromkeys(("pixel_ap", "pro")) | {"per_defect": {}}
    said = words(page(record("2", test_images={}, test={"ours": nothing, "theirs": nothing})))
    assert "On the real test split There are no test images. What it was trained on" in said


def test_one_repeat_is_told_as_such():
    assert "5 folds, once; only these decide." in words(page(record(repeats=1)))


def test_it_needs_no_other_file_and_escapes_what_it_is_given():
    html = page(reason="<script>alert(1)</script>")
    assert "<script>" not in html and "&lt;script&gt;" in html
    assert not re.search(r'(src|href)="(?!https?://|#)', html)
    assert page() == page()
