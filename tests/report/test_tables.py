from pipeline_tasks.report.tables import checks, count_table, shortfalls


def cells(table, arm):
    return [cell.text for cell in dict(table.rows)[arm]]


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
