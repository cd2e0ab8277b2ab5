from benefit_results import evaluation
from report_contents import defect_contents, previous, product
from rows import digest

from pipeline_tasks.report.changes import changes_section
from pipeline_tasks.report.contents import History

SAME = {"plate/pit": digest("pit"), "plate/scratch": digest("scratch")}


def changes(before, params=None, metrics=None, contents=None):
    return changes_section(contents or product(), History(before, params or {}, metrics or {}))


def test_the_first_version_says_that_it_is():
    found = changes(None, {"a": "1"}, {"plate/choice/lift_gain": 0.1})
    assert found.first
    assert found.sentence.startswith("This is the first version")
    assert (found.params, found.datasets, found.metrics) == ([], [], None)


def test_parameters_that_differ_are_listed_with_those_of_one_version_only():
    before = previous(params={"same": "1", "masks.kind": "image", "gone": "x"})
    found = changes(before, {"same": "1", "masks.kind": "hybrid", "new": "y"})
    listed = [(change.name, change.before, change.now) for change in found.params]
    assert listed == [("gone", "x", "–"), ("masks.kind", "image", "hybrid"), ("new", "–", "y")]


def test_data_sets_are_told_apart_by_their_digests():
    before = previous(datasets={"plate/pit": "other", "plate/scratch": digest("scratch"), "plate/dent": "x"})
    contents = product(defects=[defect_contents(defect) for defect in ("pit", "scratch", "stain")])
    assert changes(before, contents=contents).datasets == [
        "plate/pit: the pairs were made anew and differ.",
        "plate/stain: pairs of this defect are new.",
        "plate/dent: there are no pairs of this defect any more.",
    ]


def test_data_sets_of_other_products_are_their_own_affair():
    assert changes(previous(datasets={**SAME, "tile/pit": "x"})).datasets == []


def test_the_main_figures_are_set_side_by_side():
    then = {"plate/choice/lift_gain": 0.01, "plate/unet/real_flip/pixel_ap_mean": 0.5, "plate/pairs/pit": 200.0}
    now = {"plate/choice/lift_gain": 0.03, "plate/unet/chosen/pixel_ap_mean": 0.6, "plate/pairs/pit": 188.0}
    same = {"plate/pairs/scratch": 5.0, "plate/gate/failed_expectations": 1.0, "plate/unet/real/pixel_ap_mean": 0.3}
    table = changes(previous(metrics=then | same), metrics=now | same).metrics
    rows = {head: [cell.text for cell in cells] for head, cells in table.rows}
    assert rows == {
        "gain out of fold, pixel AP": ["0.010", "0.030", "+0.020"],
        "test split, the chosen mixture: pixel AP": ["–", "0.600", "–"],
        "test split, real images with flips: pixel AP": ["0.500", "–", "–"],
        "pairs of pit": ["200", "188", "−12"],
    }


def test_without_figures_there_is_no_table():
    assert changes(previous()).metrics is None
    bare = product(evaluation={key: value for key, value in evaluation().items() if key != "headline"})
    assert changes(previous(), contents=bare).metrics is None
