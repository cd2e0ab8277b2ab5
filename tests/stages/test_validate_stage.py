import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import rows
from settings import settings, write_settings

from pipeline_tasks.commands.validate import validate
from pipeline_tasks.errors import DataError, ValidationFailed
from pipeline_tasks.quality.rules import Expected, rules
from pipeline_tasks.quality.suite import check
from pipeline_tasks.schema import GOOD, PIXEL_COLUMNS, Pair, Rejected, Sample
from pipeline_tasks.stages import validate as stage
from pipeline_tasks.storage import write_rows

PARAMS = settings().validate_
DEFECTS = ["pit", "scratch"]
ASKED = 6


def sample(defect, index, split):
    area = 0 if defect == GOOD else 40 + index
    return rows.sample(defect, index, split, width=64, height=64, mask_area_px=area, mask_area_fraction=area / 4096)


def samples(split):
    return [sample(defect, i, split) for defect in [GOOD, *DEFECTS] for i in range(4)]


def pair(defect, index, **values):
    normal, parent = sample(GOOD, index % 4, "base"), f"base/{defect}/{index % 4:03d}.png"
    origin = {"normal_path": normal.source_path, "normal_sha256": normal.sha256, "parent_a": parent, "parent_b": parent}
    return rows.pair(defect, index, **origin | {"width": 64, "height": 64, "mask_area_px": 41} | values)


def frame(samples_or_pairs, row):
    columns = [name for name in row.__slots__ if name not in PIXEL_COLUMNS]
    return pd.DataFrame([[getattr(r, name) for name in columns] for r in samples_or_pairs], columns=columns)


@pytest.fixture
def pairs():
    return frame([pair(defect, i) for defect in DEFECTS for i in range(ASKED)], Pair)


@pytest.fixture
def expected():
    return Expected("plate", DEFECTS, frame(samples("base"), Sample), frame(samples("test"), Sample), ASKED)


def judge(expected, pairs, rejected=()):
    return stage.run(PARAMS, expected, pairs, dict(rejected))


def refusals(gate):
    return {outcome.rule.key for outcome in gate.refusals}


def test_sound_pairs_pass(expected, pairs):
    gate = judge(expected, pairs)
    assert gate.result["verdict"] == "passed"
    assert not gate.warnings
    assert gate.result["counts"] == {
        "asked_per_defect": ASKED,
        "pairs": {"pit": 6, "scratch": 6},
        "made_again": {},
        "rejected": {},
        "base": {GOOD: 4, "pit": 4, "scratch": 4},
        "test": {GOOD: 4, "pit": 4, "scratch": 4},
    }


def change(column, value):
    """Break one value of the first pair."""

    def apply(pairs):
        pairs[column] = pairs[column].astype(object)
        pairs.loc[0, column] = value
        return pairs

    return apply


TEST_NORMAL = sample(GOOD, 0, "test")
BROKEN = {
    "product": (change("product", "other"), {"known/product/*"}),
    "defect": (change("defect", "other"), {"known/defect/*"}),
    "null": (change("prompt", None), {"present/prompt/*"}),
    "one more column": (lambda p: p.assign(extra=1), {"columns/*/*"}),
    "pair_id twice": (change("pair_id", "plate/pit/000001"), {"unique/pair_id/*"}),
    "image twice": (change("image_sha256", rows.digest("pit 1")), {"unique/image_sha256/*"}),
    "seed twice": (change("seed", 1001), {"unique_seed/*/*"}),
    "empty mask": (
        change("mask_area_px", 0),
        {"mask_not_empty/mask_area_px/*", "mask_area_as_seen/mask_area_px/pit"},
    ),
    "mask too large": (change("mask_area_px", 173), {"mask_area_as_seen/mask_area_px/pit"}),
    "mask too small": (change("mask_area_px", 9), {"mask_area_as_seen/mask_area_px/pit"}),
    "part changed": (change("change_outside_max", 1), {"untouched_outside/change_outside_max/*"}),
    "defect invisible": (change("change_inside", 1.9), {"defect_visible/change_inside/pit"}),
    "unknown normal": (change("normal_path", "x.png"), {"base_only/normal_path/*"}),
    "normal of test": (
        change("normal_path", TEST_NORMAL.source_path),
        {"base_only/normal_path/*", "never_test/normal_path/*"},
    ),
    "copied normal": (change("normal_sha256", TEST_NORMAL.sha256), {"never_test/normal_sha256/*"}),
    "parent_a of test": (change("parent_a", "test/pit/000.png"), {"base_only/parent_a/pit", "never_test/parent_a/pit"}),
    "parent_b of test": (change("parent_b", "test/pit/000.png"), {"base_only/parent_b/pit", "never_test/parent_b/pit"}),
    "parent of another defect": (change("parent_a", "base/scratch/000.png"), {"base_only/parent_a/pit"}),
    "no model digest": (change("backend_digest", "none"), {"complete/backend_digest/*"}),
    "no backend": (change("backend", " "), {"complete/backend/*"}),
    "no prompt": (change("prompt", ""), {"complete/prompt/*"}),
    "no mask kind": (change("mask_kind", ""), {"complete/mask_kind/*"}),
    "cut normal digest": (change("normal_sha256", "b" * 63), {"complete/normal_sha256/*"}),
    "cut image digest": (change("image_sha256", "b" * 63), {"complete/image_sha256/*"}),
    "alpha beyond the parents": (change("alpha", 1.5), {"between_parents/alpha/*"}),
    "one normal only": (
        lambda p: p.assign(normal_sha256=rows.digest("base/good/000.png")),
        {"distinct_normals/normal_sha256/*"},
    ),
    "a defect without pairs": (lambda p: p[p.defect == "pit"], {"defect_has_pairs/defect/scratch"}),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_each_fault_trips_its_own_expectation(expected, pairs, fault):
    apply, tripped = BROKEN[fault]
    columns = {key.split("/")[1].replace("*", "pair_id") for key in tripped}
    # All rules take half a second; those on the touched columns and on the whole table show the same.
    asked = [r for r in rules(PARAMS, expected, len(pairs)) if r.column in {None, *columns}]
    outcomes, _ = check("Pairs of plate", asked, apply(pairs))
    assert {o.rule.key for o in outcomes if not o.success and o.rule.severity == "critical"} == tripped


def test_what_was_made_again_or_given_up_is_counted_by_defect(expected, pairs):
    again = pairs.assign(attempts=[2, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2])
    counts = judge(expected, again, {"scratch": 4}).result["counts"]
    assert (counts["made_again"], counts["rejected"]) == ({"pit": 2, "scratch": 1}, {"scratch": 4})


def test_a_missing_column_fails_the_gate(expected, pairs):
    gate = judge(expected, pairs.drop(columns="alpha"))
    assert {"columns/*/*", "present/alpha/*"} <= refusals(gate)


def test_no_pairs_at_all_fail_the_gate(expected, pairs):
    gate = judge(expected, pairs[:0])
    nothing_for = {f"defect_has_pairs/defect/{defect}" for defect in DEFECTS}
    assert refusals(gate) == {"has_pairs/*/*", *nothing_for}


def test_a_few_invisible_defects_are_tolerated(expected, pairs):
    many = pd.concat([pairs[pairs.defect == "scratch"]] + [pairs[pairs.defect == "pit"]] * 2, ignore_index=True)
    many.loc[many.index[-1], "change_inside"] = 0.0
    assert "defect_visible/change_inside/pit" not in refusals(judge(expected, many))


def test_too_few_pairs_are_a_warning(expected, pairs):
    gate = judge(expected, pairs.drop(index=0))
    assert gate.result["verdict"] == "passed"
    assert [o.rule.key for o in gate.warnings] == ["enough_pairs/pair_id/pit"]
    assert gate.warnings[0].observed == "5"


def test_a_defect_that_could_not_be_learned_is_a_warning(expected, pairs):
    unlearnable = Expected("plate", [*DEFECTS, "stain"], expected.base, expected.test, ASKED)
    gate = judge(unlearnable, pairs)
    assert gate.result["verdict"] == "passed"
    assert "defect_has_pairs/defect/stain" in {o.rule.key for o in gate.warnings}


def zero_shot_pairs(pairs, expected):
    """Add pairs of a defect that is learned on another product, with masks of another size."""
    parent = "base/crack/900.png"
    crack = {"source": "tile", "parent_a": parent, "parent_b": parent, "mask_area_px": 900}
    made = frame([pair("crack", index, **crack) for index in range(ASKED)], Pair)
    asked = Expected("plate", DEFECTS, expected.base, expected.test, ASKED, ["crack"])
    return asked, pd.concat([pairs, made], ignore_index=True)


def test_zero_shot_pairs_are_not_held_against_real_ones(expected, pairs):
    gate = judge(*zero_shot_pairs(pairs, expected))
    assert (gate.result["verdict"], gate.warnings) == ("passed", [])
    assert gate.result["counts"]["pairs"] == {"crack": 6, "pit": 6, "scratch": 6}
    said = {o.rule.key: o.rule.sentence for o in gate.outcomes if o.rule.defect == "crack"}
    assert said["defect_has_pairs/defect/crack"].endswith(", though no base samples of 'plate' to learn from")
    assert "nothing real here to match" in said["learned_on/source/crack"]
    assert not {"mask_area_as_seen/mask_area_px/crack", "base_only/parent_a/crack"} & set(said)


def test_zero_shot_pairs_are_held_against_everything_else(expected, pairs):
    asked, both = zero_shot_pairs(pairs, expected)
    last = both.index[-1]
    both.loc[last, ["normal_path", "change_inside", "source"]] = ["x.png", 0.0, "plate"]
    tripped = {"base_only/normal_path/*", "defect_visible/change_inside/crack", "learned_on/source/crack"}
    assert refusals(judge(asked, both)) == tripped


def test_an_own_defect_that_is_learned_elsewhere_fails_the_gate(expected, pairs):
    assert refusals(judge(expected, change("source", "tile")(pairs))) == {"learned_on/source/pit"}


def test_zero_shot_pairs_that_are_lacking_are_a_warning(expected, pairs):
    asked, _ = zero_shot_pairs(pairs, expected)
    gate = judge(asked, pairs)
    assert gate.result["verdict"] == "passed"
    assert {o.rule.key for o in gate.warnings} == {"defect_has_pairs/defect/crack", "enough_pairs/pair_id/crack"}


WHOLE = {"normal_path": None, "parent_a": None, "parent_b": None, "alpha": None, "warp": [], "mask_kind": "attention"}


def whole_pairs():
    """Pairs that the generator made with their normal images and masks."""
    each = ((defect, index) for defect in DEFECTS for index in range(ASKED))
    return frame([pair(*one, **WHOLE, normal_sha256=rows.digest(f"normal of {one}")) for one in each], Pair)


def test_pairs_that_were_generated_whole_pass(expected):
    gate = judge(expected, whole_pairs())
    assert (gate.result["verdict"], gate.warnings) == ("passed", [])


@pytest.mark.parametrize("column", ["normal_path", "parent_a", "parent_b", "alpha"])
def test_a_pair_has_its_origin_exactly_if_it_was_not_generated_whole(expected, pairs, column):
    asked = [rule for rule in rules(PARAMS, expected, ASKED) if rule.name in ("present", "absent")]
    asked = [rule for rule in asked if rule.column == column]
    mixed = pd.concat([pairs, whole_pairs()], ignore_index=True)

    def tripped():
        return {o.rule.key for o in check("Pairs of plate", asked, mixed)[0] if not o.success}

    assert tripped() == set()
    mixed[column] = mixed[column].astype(object)
    mixed.loc[0, column] = None
    assert tripped() == {f"present/{column}/*"}
    mixed.loc[0, column], mixed.loc[len(pairs), column] = pairs.loc[0, column], pairs.loc[0, column]
    assert tripped() == {f"absent/{column}/*"}


def test_a_single_normal_is_enough_where_there_is_only_one(expected, pairs):
    base = expected.base[(expected.base.defect != GOOD) | (expected.base.source_path == "base/good/000.png")]
    normal = sample(GOOD, 0, "base")
    single = pairs.assign(normal_path=normal.source_path, normal_sha256=normal.sha256)
    gate = judge(Expected("plate", DEFECTS, base, expected.test, ASKED), single)
    assert gate.result["verdict"] == "passed"


def test_the_result_is_deterministic_json(expected, pairs):
    pairs.loc[0, "change_outside_max"] = 3
    first, second = (judge(expected, pairs) for _ in range(2))
    assert json.dumps(first.result) == json.dumps(second.result)
    assert first.docs == second.docs
    entry = next(e for e in first.result["expectations"] if not e["success"])
    assert entry == {
        "name": "untouched_outside",
        "sentence": "Outside the dilated mask every pair equals its normal image",
        "column": "change_outside_max",
        "defect": None,
        "severity": "critical",
        "success": False,
        "observed": "1 of 12 rows deviate (8.3%): plate/pit/000000 (3)",
        "threshold": "0 grey levels",
    }


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_settings(tmp_path, masks={"pairs_per_defect": ASKED})
    for split in ("base", "test"):
        for defect in [GOOD, *DEFECTS]:
            write_rows(Path(split, f"{defect}.parquet"), [sample(defect, i, split) for i in range(4)], Sample)
    for defect in DEFECTS:
        for shard in range(2):
            made = [pair(defect, i) for i in range(shard * 3, shard * 3 + 3)]
            write_rows(Path("pairs", defect, f"{shard:05d}.parquet"), made, Pair)
    return tmp_path


def call():
    validate("plate", Path("base"), Path("test"), Path("pairs"), Path("out/result.json"), Path("out/docs"))


def test_the_command_writes_result_and_docs(workspace, capsys):
    call()
    assert json.loads(Path("out/result.json").read_text())["verdict"] == "passed"
    assert "Pairs of plate" in Path("out/docs/index.html").read_text()
    assert "gate passed" in capsys.readouterr().out


def test_a_failed_gate_leaves_its_reasons_behind(workspace):
    write_rows(Path("pairs/pit/00001.parquet"), [pair("scratch", 0)], Pair)
    with pytest.raises(ValidationFailed, match=r"No two pairs have the same image.*scratch/000000.*out/docs/index"):
        call()
    assert json.loads(Path("out/result.json").read_text())["verdict"] == "failed"
    assert "These stop the refresh" in Path("out/docs/index.html").read_text()


def test_missing_samples_are_named(workspace):
    with pytest.raises(DataError, match="nowhere: no samples"):
        validate("plate", Path("nowhere"), Path("test"), Path("pairs"), Path("r.json"), Path("docs"))


def test_defects_that_only_the_pairs_have_are_learned_on_another_product(workspace):
    for index in range(ASKED):
        made = pair("crack", index, source="tile", parent_a="t.png", parent_b="t.png")
        write_rows(Path(f"pairs/crack/{index:05d}.parquet"), [made], Pair)
    call()
    assert json.loads(Path("out/result.json").read_text())["counts"]["pairs"]["crack"] == 6


def test_a_product_with_normal_images_only_is_judged(workspace):
    for defect in DEFECTS:
        for split in ("base", "test"):
            Path(split, f"{defect}.parquet").unlink()
        shutil.rmtree(Path("pairs", defect))
    made = [pair("crack", i, source="tile", parent_a="t.png", parent_b="t.png") for i in range(ASKED)]
    write_rows(Path("pairs/crack/00000.parquet"), made, Pair)
    call()
    assert json.loads(Path("out/result.json").read_text())["verdict"] == "passed"


def test_rejected_pairs_are_read_from_beside_the_shards_and_counted(workspace):
    for shard, indices in enumerate(([6, 7], [8])):
        given_up = [Rejected(index, "plate", "pit", 3, 0.1) for index in indices]
        write_rows(Path("pairs/pit/rejected", f"{shard:05d}.parquet"), given_up, Rejected)
    write_rows(Path("pairs/pit/00001.parquet"), [pair("pit", i, attempts=i) for i in (3, 4, 5)], Pair)
    call()
    counts = json.loads(Path("out/result.json").read_text())["counts"]
    assert (counts["pairs"], counts["rejected"]) == ({"pit": 6, "scratch": 6}, {"pit": 3})
    assert counts["made_again"] == {"pit": 3}
