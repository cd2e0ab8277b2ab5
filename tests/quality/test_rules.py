from functools import partial

import pair_tables
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rows
from pair_tables import ASKED, COLUMNS, DEFECTS, expected, pair, sound, stored
from settings import settings

from pipeline_tasks.quality.pair_table import PairTable
from pipeline_tasks.quality.rules import rules
from pipeline_tasks.quality.suite import check
from pipeline_tasks.schema import GOOD, Pair
from pipeline_tasks.storage import write_rows

VALIDATE = settings().validate_
ORIGIN = ["normal_path", "parent_a", "parent_b", "alpha"]
STOP, WARN = "critical", "warning"
ATTENTION = {
    "normal_path": None,
    "parent_a": None,
    "parent_b": None,
    "alpha": None,
    "mask_kind": "attention",
    "warp": [],
}
FOREIGN = {"source": "tile", "parent_a": "x.png", "parent_b": "x.png", "nearest_base": "x.png", "mask_area_px": 900}


@pytest.fixture
def tripped(tmp_path):
    """Return the rules that fail for pairs, with their severity; of all rules, or of those on one of `columns`."""

    def judge(pairs, against=None, params=VALIDATE, columns=None):
        table = stored(pairs, tmp_path / "pairs.parquet")
        asked = rules(params, against or expected(), table.count("defect"))
        asked = [rule for rule in asked if columns is None or {*rule.columns} & {*columns}]
        return {o.rule.key: o.rule.severity for o in check(asked, table) if not o.success}

    return judge


def test_sound_pairs_meet_every_rule(tripped):
    assert tripped(sound()) == {}


def first(column, value, number=1):
    """Return what spoils `column` of the first pairs, which are of the defect pit."""

    def spoil(pairs):
        pairs.loc[: number - 1, column] = value
        return pairs

    return column, spoil


HASH = rows.digest("phash pit 4")[:16]
"""Of the other pair on the normal image of the first one."""
SPOILT = {
    "product": (first("product", "other"), {"known/product/*": STOP}),
    "null": (first("backend_digest", None), {"present/lacking/*": STOP}),
    "not a number": (first("alignment", float("nan")), {"present/lacking/*": STOP}),
    "index below zero": (first("pair_index", -1), {"possible/pair_index/*": STOP}),
    "seed below zero": (first("seed", -1), {"possible/seed/*": STOP, "mask_seed/*/*": STOP}),
    "mask's seed below zero": (first("mask_seed", -1), {"possible/mask_seed/*": STOP, "mask_seed/*/*": STOP}),
    "another mask's seed": (first("mask_seed", 1001), {"mask_seed/*/*": STOP}),
    "never made": (first("attempts", 0), {"possible/attempts/*": STOP}),
    "no width": (first("width", 0), {"possible/width/*": STOP}),
    "no height": (first("height", 0), {"possible/height/*": STOP}),
    "area beyond the image": (first("mask_area_fraction", 1.1), {"possible/mask_area_fraction/*": STOP}),
    "alpha beyond the parents": (first("alpha", 1.5), {"possible/alpha/*": STOP}),
    "alignment above 1": (first("alignment", 1.1), {"possible/alignment/*": STOP}),
    "label_iou above 1": (first("label_iou", 1.1), {"possible/label_iou/*": STOP}),
    "spill below 0": (first("spill", -0.1), {"possible/spill/*": STOP}),
    "change above white": (first("change_inside", 256.0), {"possible/change_inside/*": STOP}),
    "agreement above 1": (first("agreement", 1.1), {"possible/agreement/*": STOP}),
    "likeness below 0": (first("nearest_similarity", -0.1), {"possible/nearest_similarity/*": STOP}),
    "pair_id twice": (first("pair_id", "plate/pit/000001"), {"unique/pair_id/*": STOP}),
    "image twice": (first("image_sha256", rows.digest("pit 1")), {"unique/image_sha256/*": STOP}),
    "seed twice": (first("seed", 1001), {"unique_seed/*/*": STOP, "mask_seed/*/*": STOP}),
    "part changed": (first("change_outside_max", 1), {"untouched_outside/change_outside_max/*": STOP}),
    "defect invisible": (first("change_inside", 1.9), {"kept/change_inside/*": STOP}),
    "label next to the change": (first("label_iou", 0.05), {"kept/label_iou/*": STOP}),
    "change all over": (first("alignment", 0.1), {"kept/alignment/*": STOP}),
    "change beyond the mask": (first("spill", 0.95), {"kept/spill/*": STOP}),
    "one copy": (
        first("nearest_similarity", 0.995),
        {"kept/nearest_similarity/*": STOP, "memorised/nearest_similarity/pit": WARN},
    ),
    "poor labels": (first("label_iou", 0.15, ASKED), {"label_iou/label_iou/pit": WARN}),
    "empty mask": (
        first("mask_area_px", 0),
        {"mask_not_empty/mask_area_px/*": STOP, "mask_area/mask_area_px/pit": STOP},
    ),
    "mask too large": (first("mask_area_px", 145), {"mask_area/mask_area_px/pit": STOP}),
    "mask too small": (first("mask_area_px", 8), {"mask_area/mask_area_px/pit": STOP}),
    "mask left of all": (first("mask_x", 0.1), {"mask_position/mask_x/pit": WARN}),
    "mask below all": (first("mask_y", 0.9), {"mask_position/mask_y/pit": WARN}),
    "likeness to another pair": (first("phash", HASH), {"near_duplicates/*/*": WARN}),
    "all alike": (first("phash", HASH, ASKED), {"near_duplicates/*/*": WARN, "diversity/phash/pit": WARN}),
    "too like base": (first("nearest_similarity", 0.98), {"memorised/nearest_similarity/pit": WARN}),
    "one normal only": (
        first("normal_sha256", rows.digest("base/good/000.png"), 2 * ASKED),
        {"distinct_normals/normal_sha256/*": STOP},
    ),
    "unknown normal": (first("normal_path", "x.png"), {"base_only/normal_path/*": STOP}),
    "normal of test": (
        first("normal_path", "test/good/000.png"),
        {"base_only/normal_path/*": STOP, "never_test/normal_path/*": STOP},
    ),
    "copied normal": (
        first("normal_sha256", rows.digest("test/good/000.png")),
        {"never_test/normal_sha256/*": STOP},
    ),
    **{
        f"{column} of test": (
            first(column, "test/pit/000.png"),
            {f"base_only/{column}/pit": STOP, f"never_test/{column}/*": STOP},
        )
        for column in ("parent_a", "parent_b", "reference", "nearest_base")
    },
    "parent of another defect": (first("parent_a", "base/scratch/000.png"), {"base_only/parent_a/pit": STOP}),
    "learned elsewhere": (first("source", "tile"), {"learned_on/source/pit": STOP}),
    "no backend": (first("backend", " "), {"complete/backend/*": STOP}),
    "no prompt": (first("prompt", ""), {"complete/prompt/*": STOP}),
    "no mask kind": (first("mask_kind", ""), {"complete/mask_kind/*": STOP}),
    "no centre": (first("mask_x", 1.2), {"possible/mask_x/*": STOP, "mask_position/mask_x/pit": WARN}),
    "centre above all": (first("mask_y", -0.1), {"possible/mask_y/*": STOP, "mask_position/mask_y/pit": WARN}),
    "no nearest": (first("nearest_base", ""), {"complete/nearest_base/*": STOP, "base_only/nearest_base/pit": STOP}),
    "no hash": (
        first("phash", "x" * 16),
        {"complete/phash/*": STOP, "near_duplicates/*/*": WARN, "diversity/phash/pit": WARN},
    ),
    "cut model digest": (first("backend_digest", "a" * 63), {"complete/backend_digest/*": STOP}),
    "cut normal digest": (first("normal_sha256", "b" * 63), {"complete/normal_sha256/*": STOP}),
    "cut image digest": (first("image_sha256", "b" * 63), {"complete/image_sha256/*": STOP}),
    "cut mask digest": (first("mask_sha256", "b" * 63), {"complete/mask_sha256/*": STOP}),
    "cut seal": (first("row_sha256", "b" * 63), {"complete/row_sha256/*": STOP}),
    "cut run": (first("run_id", "b" * 16), {"complete/run_id/*": STOP}),
    "a digest of another kind for the code": (first("code_revision", "b" * 64), {"complete/code_revision/*": STOP}),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_each_fault_trips_its_own_rule(tripped, fault):
    (column, spoil), keys = SPOILT[fault]
    # All rules take a second; those on the touched column, and on what is lacking, show the same.
    columns = [column, "lacking"] if "present/lacking/*" in keys else [column]
    assert tripped(spoil(sound()), columns=columns) == keys


def test_a_pair_that_was_made_again_has_another_seed_than_its_mask(tripped):
    again = sound()
    again.loc[0, ["seed", "attempts"]] = [77, 2]
    assert tripped(again, columns=["seed", "mask_seed"]) == {}


def test_every_rule_is_tripped_by_a_fault():
    asked = rules(VALIDATE, expected(defects=["pit"]), {"pit": ASKED})
    tripped_below = {f"{name}/*/{defect}" for name in ("defect_has_pairs", "enough_pairs") for defect in DEFECTS}
    tripped_below |= {"has_pairs/*/*", "known/defect/*", "columns/*/*"}
    tripped_below |= {f"{name}/{column}/*" for name in ("has_origin", "no_origin") for column in ORIGIN}
    assert {rule.key for rule in asked} <= tripped_below.union(*(keys for _, keys in SPOILT.values()))


@pytest.mark.parametrize("change", [lambda p: p.assign(extra=1), lambda p: p.drop(columns="fused_with")])
def test_columns_are_as_declared(tripped, change):
    assert tripped(change(sound()), columns=["found"]) == {"columns/*/*": STOP}


def test_types_are_as_declared(tripped, tmp_path):
    table, place = stored(sound(), tmp_path / "pairs.parquet"), COLUMNS.get_field_index("seed")
    pq.write_table(table.read(COLUMNS.names).cast(COLUMNS.set(place, pa.field("seed", pa.float64()))), table.path)
    seeds = check(rules(VALIDATE, expected(), {}), PairTable(table.path))
    assert {o.rule.key: o.observed for o in seeds if o.rule.key == "columns/*/*"} == {
        "columns/*/*": "1 of 44 deviate (2.27%): seed (double instead of int64)"
    }


def test_an_unknown_defect_is_told(tripped):
    _, spoil = first("defect", "other")
    assert tripped(spoil(sound()))["known/defect/*"] == STOP


def test_no_pairs_at_all_stop(tripped):
    nothing = {
        f"{rule}/*/{defect}": level
        for rule, level in (("defect_has_pairs", STOP), ("enough_pairs", WARN))
        for defect in DEFECTS
    }
    assert tripped(sound()[:0]) == {"has_pairs/*/*": STOP, **nothing}


def test_a_defect_without_pairs_stops(tripped):
    found = tripped(sound()[:ASKED])
    assert found == {
        "defect_has_pairs/*/scratch": STOP,
        "enough_pairs/*/scratch": WARN,
        "class_balance/defect/*": WARN,
    }


def test_too_few_pairs_are_a_warning(tripped):
    assert tripped(sound()[1:]) == {"enough_pairs/*/pit": WARN}
    assert tripped(sound()[4:]) == {"enough_pairs/*/pit": WARN, "class_balance/defect/*": WARN}


def test_severities_and_thresholds_are_those_of_the_parameters(tripped):
    _, spoil = first("phash", HASH)
    for changed, found in (
        ({"severity": "stop"}, {"near_duplicates/*/*": STOP}),
        ({"max_fraction": 0.2}, {}),
    ):
        params = settings(validate={"near_duplicates": changed}).validate_
        assert tripped(spoil(sound()), params=params, columns=["phash"]) == found


def test_the_spread_of_places_widens_where_masks_may_be(tripped):
    column, spoil = first("mask_x", 0.01)
    spoilt, judge = spoil(sound()), partial(tripped, columns=[column])
    assert judge(spoilt, expected(placement_spread=0.15)) == {"mask_position/mask_x/pit": WARN}
    assert judge(spoilt, expected(placement_spread=1.0)) == {}


@pytest.mark.parametrize("kind", ["perlin", "attention"])
def test_masks_that_are_not_made_from_real_ones_are_free_of_their_place_and_size(tripped, kind):
    pairs = sound().assign(mask_x=0.01, mask_area_px=900, mask_kind=kind)
    assert tripped(pairs, columns=["mask_x", "mask_area_px"]) == {}


def test_copies_are_counted_only_where_they_are_welcome(tmp_path):
    keep = settings(generate={"keep": {"max_similarity": 1.0}}).generate.keep
    pasted = stored(sound().assign(backend="paste", nearest_similarity=1.0), tmp_path / "pairs.parquet")
    asked = [
        r for r in rules(VALIDATE, expected(keep=keep), pasted.count("defect")) if r.column == "nearest_similarity"
    ]
    outcomes = check(asked, pasted)
    assert all(o.success for o in outcomes)
    said = next(o for o in outcomes if o.rule.key == "memorised/nearest_similarity/pit")
    assert "may copy base defects" in said.rule.sentence
    assert said.observed.startswith("6 of 6 deviate (100%)")


def test_a_single_normal_is_enough_where_there_is_only_one(tripped):
    base = expected().base
    base = base[(base.defect != GOOD) | (base.source_path == "base/good/000.png")]
    single = sound().assign(normal_path="base/good/000.png", normal_sha256=rows.digest("base/good/000.png"))
    assert tripped(single, expected(base=base), columns=["normal_path", "normal_sha256"]) == {}


def test_a_defect_that_could_not_be_learned_is_a_warning(tripped):
    found = tripped(sound(), expected(defects=[*DEFECTS, "stain"]))
    stain = {"defect_has_pairs/*/stain": WARN, "enough_pairs/*/stain": WARN}
    assert found == {**stain, "class_balance/defect/*": WARN}


def with_zero_shot(**values):
    made = [pair(defect, index) for defect in DEFECTS for index in range(ASKED)]
    return pair_tables.frame([*made, *(pair("crack", index, **FOREIGN | values) for index in range(ASKED))])


def test_zero_shot_pairs_are_not_held_against_real_ones(tripped):
    assert tripped(with_zero_shot(), expected(zero_shot=["crack"])) == {}


def test_zero_shot_pairs_are_held_against_everything_else(tripped):
    spoilt = with_zero_shot(normal_path="x.png", change_inside=0.0, source="plate")
    assert tripped(spoilt, expected(zero_shot=["crack"])) == {
        "base_only/normal_path/*": STOP,
        "kept/change_inside/*": STOP,
        "learned_on/source/crack": STOP,
    }


def whole(**values):
    """Return pairs that the generator made with their normal images and masks."""
    each = [(defect, index) for defect in DEFECTS for index in range(ASKED)]
    return pair_tables.frame(
        pair(*one, normal_sha256=rows.digest(f"normal of {one}"), **ATTENTION | values) for one in each
    )


def test_pairs_that_were_generated_whole_meet_every_rule(tripped):
    assert tripped(whole()) == {}


@pytest.mark.parametrize("column", ORIGIN)
def test_a_pair_has_its_origin_exactly_if_it_was_not_generated_whole(tripped, column):
    judge = partial(tripped, columns=[column])
    assert judge(first(column, None)[1](sound())) == {f"has_origin/{column}/*": STOP}
    value = sound().loc[0, column]
    assert judge(first(column, value)[1](whole())) == {f"no_origin/{column}/*": STOP}


def test_keys_are_unique_and_every_topic_stands_together():
    asked = rules(VALIDATE, expected(), dict.fromkeys(DEFECTS, ASKED))
    assert len({rule.key for rule in asked}) == len(asked)
    topics = [rule.topic for rule in asked]
    assert topics == sorted(topics, key=topics.index)


def test_a_table_is_gathered_from_shards(tmp_path):
    for defect in DEFECTS:
        write_rows(tmp_path / f"{defect}.parquet", [pair(defect, i) for i in range(3)], Pair)
    table = PairTable.of([tmp_path / f"{defect}.parquet" for defect in DEFECTS], tmp_path / "all.parquet")
    assert table.count("defect") == {"pit": 3, "scratch": 3}
    assert table.read(["pair_id"], [("defect", "=", "scratch")])["pair_id"].to_pylist()[0] == "plate/scratch/000000"
    assert set(table.columns()["lacking"]) == {0}
