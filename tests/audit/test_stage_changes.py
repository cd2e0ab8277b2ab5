from copy import deepcopy
from pathlib import Path

import pytest

from pipeline_tasks.audit.stage_changes import Cause, Locks, parameters, stage_changes
from pipeline_tasks.lineage.lock import Lock

RAW = "data/raw/plate"


def entry(deps, outs, params=None, cmd="run"):
    listed = {"deps": deps, "outs": outs}
    files = {part: [{"path": path, "md5": md5} for path, md5 in found.items()] for part, found in listed.items()}
    return {"cmd": cmd, **files, "params": {"params.yaml": params or {}}}


STAGES = {
    "ingest@plate": entry(
        {RAW: "r.dir", "pipeline_tasks/splits": "c.dir"},
        {"data/base/plate": "b.dir", "data/test/plate": "t.dir", "splits/plate.csv": "s"},
        {"ingest": {"protocol": "few-shot-10", "limits": {"mb": 1}}},
    ),
    "prompts@plate": entry({"data/base/plate": "b.dir"}, {"data/prompts/plate.json": "p"}),
    "masks@plate-pit": entry(
        {"data/base/plate/pit.parquet": "bp", "data/prompts/plate.json": "p"},
        {"data/masks/plate/pit.parquet": "m"},
        {"masks": {"pairs_per_defect": 3}},
    ),
    "evaluate@plate": entry(
        {"data/masks/plate": "ms.dir", "data/test/plate": "t.dir", "pipeline_tasks/schema.py": "c"},
        {"data/evaluation/plate.json": "e"},
        {"run": {"seed": 0}, "masks.perlin": {"scale": 2}},
    ),
}


def changes(*edits):
    """Return what became of each stage when, in the new lock, each edit (stage, part, path, value) is made."""
    stages = deepcopy(STAGES)
    for stage, part, path, value in edits:
        if part in ("deps", "outs"):
            next(found for found in stages[stage][part] if found["path"] == path)["md5"] = value
        elif part == "params":
            stages[stage]["params"]["params.yaml"][path] = value
        else:
            stages[stage][part] = value
    locks = Locks(Lock(Path(), STAGES), Lock(Path(), stages), frozenset({RAW}))
    return {change.stage: (change.state, change.causes) for change in stage_changes(locks)}


UNCHANGED = ("unchanged", ())


def test_two_equal_locks_have_nothing_to_tell():
    assert changes() == dict.fromkeys(STAGES, UNCHANGED)


def test_a_new_raw_sample_is_followed_through_the_stages():
    found = changes(
        ("ingest@plate", "deps", RAW, "r2.dir"),
        ("ingest@plate", "outs", "data/base/plate", "b2.dir"),
        ("prompts@plate", "deps", "data/base/plate", "b2.dir"),
        ("masks@plate-pit", "deps", "data/base/plate/pit.parquet", "bp2"),
        ("masks@plate-pit", "outs", "data/masks/plate/pit.parquet", "m2"),
        ("evaluate@plate", "deps", "data/masks/plate", "ms2.dir"),
        ("evaluate@plate", "outs", "data/evaluation/plate.json", "e2"),
    )
    base = Cause("stage", ("data/base/plate",), "ingest@plate")
    assert found == {
        "ingest@plate": ("made again", (Cause("raw samples", (RAW,)),)),
        "prompts@plate": ("made again alike", (base,)),
        "masks@plate-pit": ("made again", (base,)),
        "evaluate@plate": ("made again", (Cause("stage", ("data/masks/plate/pit.parquet",), "masks@plate-pit"),)),
    }


def test_a_split_that_was_edited_is_a_cause_of_its_own():
    found = changes(
        ("ingest@plate", "outs", "splits/plate.csv", "s2"),
        ("ingest@plate", "outs", "data/test/plate", "t2.dir"),
        ("evaluate@plate", "deps", "data/test/plate", "t2.dir"),
        ("evaluate@plate", "outs", "data/evaluation/plate.json", "e2"),
    )
    assert found["ingest@plate"] == ("made again", (Cause("stored split", ("splits/plate.csv",)),))
    assert found["evaluate@plate"][1] == (Cause("stage", ("data/test/plate",), "ingest@plate"),)


@pytest.mark.parametrize(
    ("edit", "cause"),
    [
        (("evaluate@plate", "params", "run", {"seed": 1}), Cause("parameters", ("run.seed",))),
        (("evaluate@plate", "params", "run", {}), Cause("parameters", ("run", "run.seed"))),
        (("evaluate@plate", "deps", "pipeline_tasks/schema.py", "c2"), Cause("code", ("pipeline_tasks/schema.py",))),
        (("evaluate@plate", "cmd", "", "run --fast"), Cause("command", ())),
        (("evaluate@plate", "deps", "data/masks/plate", "x.dir"), Cause("stage", ("data/masks/plate",))),
    ],
)
def test_each_kind_of_input_is_named(edit, cause):
    assert changes(edit) == dict.fromkeys(STAGES, UNCHANGED) | {"evaluate@plate": ("made again alike", (cause,))}


def test_an_output_that_nothing_explains_is_suspicious_and_so_is_not_what_follows_from_it():
    found = changes(
        ("masks@plate-pit", "outs", "data/masks/plate/pit.parquet", "m2"),
        ("evaluate@plate", "deps", "data/masks/plate", "ms2.dir"),
        ("evaluate@plate", "outs", "data/evaluation/plate.json", "e2"),
    )
    assert found["masks@plate-pit"] == ("unexplained", ())
    assert found["evaluate@plate"][0] == "made again"


def test_stages_come_and_go():
    old = Lock(Path(), {name: STAGES[name] for name in ("ingest@plate", "prompts@plate")})
    new = Lock(Path(), {name: STAGES[name] for name in ("ingest@plate", "masks@plate-pit")})
    found = [(change.stage, change.state) for change in stage_changes(Locks(old, new, frozenset({RAW})))]
    assert found == [("ingest@plate", "unchanged"), ("masks@plate-pit", "new"), ("prompts@plate", "gone")]


def test_stages_are_in_the_order_of_the_pipeline_whatever_the_order_of_the_lock():
    lock = Lock(Path(), {name: STAGES[name] for name in sorted(STAGES)})
    assert [change.stage for change in stage_changes(Locks(lock, lock, frozenset({RAW})))] == list(STAGES)


def test_parameters_have_dotted_keys_whether_a_stage_reads_a_section_or_a_key():
    lock = Lock(Path(), STAGES)
    assert parameters(lock, "ingest@plate") == {"ingest.protocol": "few-shot-10", "ingest.limits.mb": 1}
    assert parameters(lock, "evaluate@plate") == {"run.seed": 0, "masks.perlin.scale": 2}
