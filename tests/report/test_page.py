import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rows import PLAIN, digest, pair, sample, trials

from pipeline_tasks.images.codec import encode_image
from pipeline_tasks.report.contents import DefectContents, Example, Head, ProductContents
from pipeline_tasks.report.page import render
from pipeline_tasks.schema import GOOD, SetAside
from pipeline_tasks.splits.membership import Member

HEAD = Head("0123456789ab", datetime(2030, 1, 2, 3, 4, tzinfo=UTC), "f" * 40, False, "run7", None)
NORMAL = sample(GOOD, source_path="train/good/<7>.png")


def shown(*examples, source="plate", trials=()):
    """A product with one defect, of these examples."""
    return replace(product(), defects=[DefectContents("pit", source, lambda: examples, list, lambda: trials)])


def member(path, defect="pit", split="base", group=""):
    return Member(path, digest(path), defect, False, split, group, True, "few-shot-10")


def product(defects=("pit", "scratch"), set_aside=(), evaluation=None, empty=(), members=()):
    def contents(defect):
        parents = {"mask_kind": "image", "parent_a": "test/pit/1.png", "parent_b": "test/pit/2.png", "alpha": 0.5}
        examples = [Example(pair(defect, normal_path=NORMAL.source_path, **parents), NORMAL.image)]
        real = [sample(defect, source_path=f"test/{defect}/1.png")]
        return DefectContents(defect, "plate", lambda: [] if defect in empty else examples, lambda: real, list)

    made = {"pairs": dict.fromkeys(defects, 1), "made_again": {"pit": 1}, "rejected": {}, "refused": {}}
    counts = {"asked_per_defect": 2, **made, "base": {"good": 3}, "test": {}, "shortfall": {"pit": "1 of 2 pairs"}}
    score = {"mean": 0.5, "std": 0.1, "values": [0.5]}
    arms = {"real_only": {"seeds": [0, 1], "pixel_ap": score}, "real_and_paste": {"seeds": [0, 1], "pixel_ap": score}}
    verdict = {"outcome": "undecided", "sentence": "No clear difference."}
    default = {"arms": arms, "budget": "equal-steps", "verdict": verdict}
    return ProductContents(
        product="plate",
        generator={"Base model": "scratch, 31.0 dB", "Prompts": "template, although semantic was asked: no CLIP"},
        gate={"counts": counts, "expectations": [], "verdict": "passed"},
        evaluation=default if evaluation is None else evaluation,
        curve={"step": [0, 1, 2], "loss": [3.0, 2.0, 1.0]},
        set_aside=set_aside,
        members=members,
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


def test_what_the_generator_starts_from_and_is_told_is_on_the_page():
    page = render(HEAD, [product()])
    assert "<dt>Base model</dt><dd>scratch, 31.0 dB</dd>" in page
    assert "<dd>template, although semantic was asked: no CLIP</dd>" in page


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("transformed", "mask transformed from test/pit/1.png"),
        ("latent", "mask interpolated in latent space from test/pit/1.png"),
        ("perlin", "mask of noise, appearance from test/pit/1.png"),
    ],
)
def test_every_kind_of_mask_is_told_in_words(kind, words):
    example = Example(pair(mask_kind=kind, parent_a="test/pit/1.png", parent_b="test/pit/1.png"), NORMAL.image)
    assert f"{words} · on " in render(HEAD, [shown(example)])


def test_a_pair_that_is_generated_whole_says_so():
    whole = {"normal_path": None, "mask_kind": "attention", "parent_a": None, "parent_b": None, "alpha": None}
    page = render(HEAD, [shown(Example(pair(**whole, warp=[]), encode_image(PLAIN)))])
    assert "mask generated with the image (attention of the defect blocks) · normal image: generated too · " in page
    assert "None" not in page


def test_what_guided_a_pair_is_shown_where_it_is_known():
    guided = pair(product_scale=1.5, defect_scale=2.345, agreement=0.4)
    page = render(HEAD, [shown(Example(guided, NORMAL.image))])
    assert " · w_p 1.5, w_d 2.35, attention mask overlaps what changed by 0.40 (IoU)</figcaption>" in page
    assert "w_p" not in render(HEAD, [shown(Example(pair(), NORMAL.image))])


def test_a_defect_of_another_product_is_headed_as_such():
    page = render(HEAD, [shown(source="tile")])
    assert "learned on tile, made on plate, which has shown no such defect" in page
    assert "Zero-shot" not in render(HEAD, [shown()])


def test_trials_are_shown_in_words_and_pictures():
    page = render(HEAD, [shown(trials=trials(2, [0, 10, 20]))])
    assert page.index("Defect strength") < page.index("Spearman") < page.index("Attention masks")
    assert "w_d 2: 20 px (20.0%)" in page
    assert page.count("data:image/jpeg;base64,") == 2 * (3 + 5)
    assert "Defect strength" not in render(HEAD, [shown()])


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


@pytest.mark.parametrize("number", [0, 3])
def test_files_set_aside_are_counted_by_reason_and_listed_on_the_page_beside(number):
    files = [SetAside("plate", f"train/{i}.png", "unreadable image", "cut off", "export it") for i in range(number)]
    page = render(HEAD, [product(set_aside=files)])
    assert page.count("<td>unreadable image</td><td>3</td>") == (number > 0)
    assert ("No raw file was set aside" in page) == (number == 0)
    assert ('href="quarantine.html#plate"' in page) == (number > 0)
    assert "train/0.png" not in page


def test_a_shortfall_and_the_reasons_for_it_are_said_plainly():
    assert "<li>1 of 2 pairs</li>" in render(HEAD, [product()])


def test_the_split_is_shown_with_its_near_duplicates():
    page = render(HEAD, [product(members=[member("a.png"), member("b.png", split="test")])])
    assert "few-shot-10" in page
    assert "No two images look like shots of one part." in page


def test_a_pair_is_shown_with_its_scores():
    page = render(HEAD, [shown(Example(pair(alignment=0.876, label_iou=0.543, nearest_similarity=0.21), NORMAL.image))])
    assert "change and mask agree by 0.88, IoU 0.54" in page
    assert "likeness to the nearest real one, base/pit/000.png: 0.21" in page


def test_file_names_cannot_inject_markup():
    page = render(HEAD, [product()])
    assert "train/good/&lt;7&gt;.png" in page
    assert "<7>" not in page


def test_the_same_contents_give_the_same_page():
    assert render(HEAD, [product()]) == render(HEAD, [product()])
