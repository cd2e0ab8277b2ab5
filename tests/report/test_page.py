import re
from dataclasses import replace

import pytest
from benefit_results import choice, chosen, evaluation
from report_contents import CHAMPION, HEAD, NEW, NORMAL, defect_contents, example, member, previous, product
from rows import PLAIN, pair, trials

from pipeline_tasks.images.codec import encode_image
from pipeline_tasks.report.contents import Example, Head, History
from pipeline_tasks.report.page import render
from pipeline_tasks.schema import SetAside

SECTIONS = ["arms", "defects", "curves", "likeness", "pairs", "failures", "changes", "data"]


def page_of(*products, standings=(), history=NEW, head=HEAD):
    return render(head, products or [product()], standings, history)


def shown(*examples, **values):
    """A product with one defect, of these examples, whose only pictures are the defect's."""
    return product(defects=[defect_contents("pit", examples, **values)], evaluation=evaluation(images={}))


def test_every_defect_is_shown_with_its_pairs_and_where_they_come_from():
    page = page_of()
    for defect in ("pit", "scratch"):
        assert f'id="plate-{defect}"' in page
        assert f"plate/{defect}/000000" in page
        assert f"test/{defect}/1.png" in page
    assert "mask interpolated from test/pit/1.png and test/pit/2.png" in page
    test_images = 2 + 1
    assert page.count("data:image/jpeg;base64,") == 2 * (6 + 2) + test_images


def test_what_the_generator_starts_from_and_is_told_is_on_the_page():
    page = page_of()
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
    made = Example(pair(mask_kind=kind, parent_a="test/pit/1.png", parent_b="test/pit/1.png"), NORMAL.image)
    assert f"{words} · on " in page_of(shown(made))


def test_a_pair_that_is_generated_whole_says_so():
    whole = {"normal_path": None, "mask_kind": "attention", "parent_a": None, "parent_b": None, "alpha": None}
    page = page_of(shown(Example(pair(**whole, warp=[]), encode_image(PLAIN))))
    assert "mask generated with the image (attention of the defect blocks) · normal image: generated too · " in page
    assert "None" not in page


def test_what_guided_a_pair_is_shown_where_it_is_known():
    guided = pair(product_scale=1.5, defect_scale=2.345, agreement=0.4)
    page = page_of(shown(Example(guided, NORMAL.image)))
    assert " · w_p 1.5, w_d 2.35, attention mask overlaps what changed by 0.40 (IoU)</figcaption>" in page
    assert "w_p" not in page_of(shown(Example(pair(), NORMAL.image)))


def test_a_defect_of_another_product_is_headed_as_such():
    page = page_of(shown(source="tile"))
    assert "learned on tile, made on plate, which has shown no such defect" in page
    assert "Zero-shot" not in page_of(shown())


def test_trials_are_shown_in_words_and_pictures():
    page = page_of(shown(trials=trials(2, [0, 10, 20])))
    assert page.index("Defect strength") < page.index("Spearman") < page.index("Attention masks")
    assert "w_d 2: 20 px (20.0%)" in page
    assert page.count("data:image/jpeg;base64,") == 2 * (3 + 5) + 2
    assert "Defect strength" not in page_of(shown())


def test_the_page_needs_no_other_file_and_no_network():
    page = page_of()
    assert not re.search(r"https?://|<script|<link|url\(", page)
    links = {"#plate", "data_docs/plate/index.html", *(f"#plate.{name}" for name in SECTIONS)}
    assert set(re.findall(r'href="([^"]*)"', page)) == links


def test_the_head_names_the_release_where_there_is_one():
    assert '<dd class="mono">dataset-3</dd>' in page_of(head=replace(HEAD, release="3"))
    assert "dataset-" not in page_of()


def test_the_head_names_version_code_date_and_run():
    page = page_of()
    for text in ("0123456789ab", "f" * 12, "02 January 2030, 03:04 UTC", "run7"):
        assert text in page
    assert "uncommitted changes" not in page


def test_the_run_is_linked_where_mlflow_is_a_server():
    head = Head("v", HEAD.created, "", True, "run7", "http://mlflow:5000/#/runs/run7")
    page = page_of(head=head)
    assert '<a href="http://mlflow:5000/#/runs/run7">run7</a>' in page
    assert "not in git" in page
    assert "uncommitted changes" in page


def test_the_sections_come_in_the_order_of_a_readers_questions():
    page = page_of(standings=[CHAMPION])
    places = [page.index(text) for text in ("Positive in every repeat.", *(f'id="plate.{name}"' for name in SECTIONS))]
    assert places == sorted(places)
    assert re.findall(r'href="#plate\.([^"]*)"', page) == SECTIONS


def test_the_verdict_holds_standing_mixture_gain_and_caution():
    page = page_of(standings=[replace(CHAMPION, product="tile"), CHAMPION])
    verdict = page[: page.index('id="plate.arms"')]
    for text in (
        '<span class="badge champion">champion</span> Version 3 of defectline-plate-dataset is the one to train with.',
        "<b>pit</b>: train with 50% inpainting pairs and flips.",
        "<b>scratch</b>: no synthesis: train on real images with flips.",
        '<span class="large">+0.030</span> pixel AP',
        "90% interval +0.020 to +0.040",
        "No clear difference.",
        "conservative, not a guarantee",
    ):
        assert text in verdict


def test_a_product_that_nothing_is_known_of_is_still_reported():
    """No choice, no detectors, no curves, no test images, no pairs."""
    bare = product(choice={}, evaluation={}, curves=[], defects=[defect_contents("pit")])
    page = page_of(bare)
    for text in (
        "No detector was trained to compare with.",
        "There is no defect to choose for.",
        "There are no curves",
        "It was not measured.",
        "There are too few pairs to rank.",
        "No test image was scored.",
        "This is the first version that was registered",
        "No pairs were made.",
    ):
        assert text in page
    assert "None" not in page


def test_a_choice_that_could_not_be_made_says_why():
    reason = "No defect is shown by two parts or more."
    undecided = chosen("undecidable", gain=None, low=None, high=None, probability=None, reason="One part shows it.")
    page = page_of(product(choice=choice(defects={"pit": undecided}, arms={}, lift=None, reason=reason)))
    assert f"<p>Nothing could be chosen: {reason}</p>" in page
    assert "<b>pit</b>: undecidable, so train on real images with flips. One part shows it." in page
    assert "None" not in page


def test_a_comparison_that_does_not_apply_is_said():
    verdict = {"outcome": "not_applicable", "sentence": "No comparison: the test split holds no defect image."}
    page = page_of(product(evaluation=evaluation(detectors={}, images={}, verdict=verdict), curves=[]))
    assert '<span class="badge not_applicable">test split: not applicable</span> No comparison: the test' in page


def test_the_best_and_the_worst_pairs_are_shown_enlarged():
    extremes = {"best": [example(index=7, alignment=0.95)], "worst": [example(index=8, alignment=0.25)]}
    page = page_of(shown(**extremes))
    best, worst = (page.index(f"plate/pit/{index:06d}") for index in (7, 8))
    assert page.index('<p class="rank">best</p>') < best < page.index('<p class="rank">worst</p>') < worst
    assert page.count("data:image/jpeg;base64,") == 2 * 3 + 2
    assert "change and mask agree by 0.25" in page


def test_what_a_budget_left_out_is_said():
    left_out = {"choice": choice(left_out=["arm perlin_50: over"]), "evaluation": evaluation(left_out=["one seed"])}
    page = page_of(product(**left_out))
    assert "<li>out of fold: arm perlin_50: over</li>\n<li>on the test split: one seed</li>" in page


def test_curves_measures_and_map_are_drawn_where_they_are():
    points = [{"x": 1.0 * i, "y": 0.5 * i, "kind": kind, "defect": "pit"} for i, kind in enumerate(["real", "paste"])]
    given = {"embedding": {"network": "the net", "points": points}, "generation": {"pit": {"kid_the_net": 1.5}}}
    page = page_of(product(evaluation=evaluation(**given)))
    assert "t-SNE of features of the net" in page
    assert "KID × 1000 (the net)" in page
    assert page.count('aria-label="precision against recall"') == 1


def test_what_changed_is_listed():
    before = previous(params={"train.steps": "350"}, datasets={"plate/pit": "other"})
    page = page_of(history=History(before, {"train.steps": "700"}, {}))
    assert '<td class="mono">train.steps</td><td class="mono">350</td><td class="mono">700</td>' in page
    assert "plate/pit: the pairs were made anew and differ." in page


@pytest.mark.parametrize("number", [0, 3])
def test_files_set_aside_are_counted_by_reason_and_listed_on_the_page_beside(number):
    files = [SetAside("plate", f"train/{i}.png", "unreadable image", "cut off", "export it") for i in range(number)]
    page = page_of(product(set_aside=files))
    assert page.count("<td>unreadable image</td><td>3</td>") == (number > 0)
    assert ("No raw file was set aside" in page) == (number == 0)
    assert ('href="quarantine.html#plate"' in page) == (number > 0)
    assert "train/0.png" not in page


def test_a_shortfall_and_the_reasons_for_it_are_said_plainly():
    assert "<li>1 of 2 pairs</li>" in page_of()


def test_the_split_is_shown_with_its_near_duplicates():
    page = page_of(product(members=[member("a.png"), member("b.png", split="test")]))
    assert "few-shot-10" in page
    assert "No two images look like shots of one part." in page


def test_a_pair_is_shown_with_its_scores():
    page = page_of(shown(Example(pair(alignment=0.876, label_iou=0.543, nearest_similarity=0.21), NORMAL.image)))
    assert "change and mask agree by 0.88, IoU 0.54" in page
    assert "likeness to the nearest real one, base/pit/000.png: 0.21" in page


def test_file_names_cannot_inject_markup():
    page = page_of()
    assert "train/good/&lt;7&gt;.png" in page
    assert "<7>" not in page


def test_sentences_cannot_inject_markup():
    bad = "<b onclick=x>"
    results = {"choice": choice(reason=bad, left_out=[bad]), "evaluation": evaluation(verdict={"sentence": bad})}
    before = previous(params={bad: bad}, datasets={f"plate/{bad}": "gone"})
    page = page_of(product(**results), standings=[replace(CHAMPION, reason=bad)], history=History(before, {}, {}))
    assert "onclick" in page
    assert bad not in page


def test_the_same_contents_give_the_same_page():
    assert page_of() == page_of()
