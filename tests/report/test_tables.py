import pytest

from pipeline_tasks.report.tables import checks, count_table, score_tables, shortfalls


def score(mean, std=0.01):
    return {"mean": mean, "std": std, "values": [mean]}


def evaluation(**arms):
    return {"arms": arms}


def cells(table, arm):
    return [cell.text for cell in dict(table.rows)[arm]]


def test_real_images_alone_come_first_and_every_score_has_its_spread():
    (table,) = score_tables(
        evaluation(
            real_and_paste={"pixel_auroc": score(0.9), "pixel_ap": score(0.5), "seeds": [0]},
            real_only={"pixel_auroc": score(0.8), "pixel_ap": score(0.4, 0.2), "seeds": [0]},
        )
    )
    assert table.columns == ["pixel AP", "pixel AUROC"]
    assert [head for head, _ in table.rows] == ["real images only", "real and paste"]
    assert cells(table, "real images only") == ["0.400 ± 0.200", "0.800 ± 0.010"]


@pytest.mark.parametrize(("mean", "std", "best"), [(0.50, 0.01, True), (0.50, 0.1, False), (0.42, 0.01, False)])
def test_a_score_is_marked_only_outside_the_spreads(mean, std, best):
    (table,) = score_tables(
        evaluation(real_only={"pixel_ap": score(0.4)}, real_and_paste={"pixel_ap": score(mean, std)})
    )
    marks = {arm: row[0].best for arm, row in table.rows}
    assert marks == {"real images only": False, "real and paste": best}


def test_a_score_that_does_not_apply_says_so():
    (table,) = score_tables(evaluation(real_only={"pixel_ap": score(0.4), "image_auroc": None}))
    assert cells(table, "real images only") == ["0.400 ± 0.010", "n/a"]


def test_scores_by_defect_get_a_table_each():
    by_defect = {"pit": {"pixel_ap": score(0.3), "image_auroc": None}, "crack": {"pixel_ap": score(0.6)}}
    tables = score_tables(evaluation(real_only={"pixel_ap": score(0.5), "per_defect": by_defect}))
    assert [t.title for t in tables] == ["All test images", "pixel AP by defect"]
    assert tables[1].columns == ["pit", "crack"]
    assert cells(tables[1], "real images only") == ["0.300 ± 0.010", "0.600 ± 0.010"]


def test_no_evaluation_gives_no_table():
    assert score_tables({}) == []


def entry(name, success, severity="critical", column=None, defect=None):
    texts = {"sentence": f"{name} of {column}", "threshold": "all", "observed": "some"}
    return {"name": name, "success": success, "severity": severity, "column": column, "defect": defect, **texts}


def test_the_gate_lists_failures_first_and_joins_alike_rules_that_hold():
    lines = checks(
        {
            "expectations": [
                entry("present", True, column="seed"),
                entry("enough_pairs", False, "warning", defect="pit"),
                entry("present", True, column="alpha"),
                entry("unique_seed", True),
                entry("present", False, column="prompt"),
            ]
        }
    )
    assert [(line.state, line.sentence) for line in lines] == [
        ("failed", "present of prompt"),
        ("warning", "enough_pairs of None"),
        ("passed", "Present: seed, alpha"),
        ("passed", "unique_seed of None"),
    ]
    assert (lines[2].threshold, lines[2].observed) == ("all", "all 2 hold")


COUNTS = {
    "asked_per_defect": 20,
    "pairs": {"pit": 16, "dent": 20},
    "made_again": {"pit": 5},
    "rejected": {"pit": {"empty mask": 1, "change beyond the mask": 2}},
    "refused": {"pit": {"no place": 1}},
    "shortfall": {"pit": "16 of 20 pairs of 'pit': ...", "dent": "0 of 20 pairs of 'dent': ..."},
}


def test_counts_say_what_was_made_again_rejected_and_refused_and_why():
    table = count_table({"counts": COUNTS})
    assert table.columns == ["pairs asked for", "made", "of them made again", "rejected", "mask refused"]
    assert cells(table, "dent") == ["20", "20", "0", "0", "0"]
    assert cells(table, "pit") == ["20", "16", "5", "3", "1"]
    notes = [cell.note for cell in dict(table.rows)["pit"]]
    assert notes == ["", "", "", "2 change beyond the mask, 1 empty mask", "1 no place"]


def test_every_shortfall_is_said_in_order_of_defects():
    assert shortfalls({"counts": COUNTS}) == ["0 of 20 pairs of 'dent': ...", "16 of 20 pairs of 'pit': ..."]
