from dataclasses import replace

import pyarrow as pa
import pytest
from benefit_results import choice, chosen, evaluation
from cards import ORIGIN, RULING, check_whole, expectation, front_of, on_card
from report_contents import COUNTS, defect_contents
from rows import pair

from pipeline_tasks.report.contents import PairCounts
from pipeline_tasks.report.dataset_card import CardOrigin, _sized, count_pairs, describe_dataset, render_card
from pipeline_tasks.schema import PIXEL_COLUMNS, Pair, arrow_schema


def card(*products, origin=ORIGIN):
    made = render_card(origin, products or [on_card()])
    check_whole(made)
    return made


def counted(counts, **values):
    """A product with one defect of these counts."""
    given = on_card(**values)
    return replace(given, defects=[replace(given.defects[0], counts=counts)])


def test_the_front_matter_is_what_hugging_face_reads():
    assert front_of(card()) == {
        "license": "cc-by-4.0",
        "pretty_name": "Synthetic defects on plate, dataset-3",
        "task_categories": ["image-segmentation"],
        "size_categories": ["n<1K"],
        "tags": ["synthetic", "defect-detection", "anomaly-detection", "visual-inspection"],
    }


@pytest.mark.parametrize(
    ("pairs", "category"),
    [
        (0, "n<1K"),
        (999, "n<1K"),
        (1000, "1K<n<10K"),
        (10_000, "10K<n<100K"),
        (999_999, "100K<n<1M"),
        (1_000_000, "1M<n<10M"),
    ],
)
def test_its_size_is_that_of_all_pairs(pairs, category):
    assert front_of(card(counted(replace(COUNTS, pairs=pairs))))["size_categories"] == [category]


def test_the_contents_are_counted_by_defect():
    told = card()
    assert "40 image/mask pairs" in told
    row = "15 between two real masks, 5 real masks, warped | 48 × 40 |"
    assert f"| plate | pit | 20 | 7 | 3 | 4 | {row}\n| plate | scratch | 20 | 5 | 3 | 4 | {row}\n" in told


def test_a_defect_learned_elsewhere_or_generated_whole_is_told_as_such():
    counts = PairCounts(6, 0, 0, {"attention": 6}, {"48 × 40": 4, "32 × 32": 2})
    whole = counted(counts, defects=[defect_contents("pit", source="tile")])
    row = "none, learned on tile | none | none, generated whole | by the generator's attention | 4 48 × 40, 2 32 × 32 |"
    told = card(whole)
    assert f"| plate | pit | 6 | {row}\n" in told
    assert "- plate: pit is generated whole, normal image included." in told
    assert "show no other surroundings" not in told


def test_a_defect_without_pairs_is_told_with_the_reason():
    none = counted(PairCounts(0, 0, 0, {}, {}))
    none.gate["counts"]["shortfall"] = {"pit": "0 of 20 pairs of 'pit', 20 too few: no mask fits."}
    told = card(none)
    assert "| plate | pit | 0 | 7 | none | none, generated whole | – | – |" in told
    assert "- 0 of 20 pairs of 'pit', 20 too few: no mask fits." in told


def test_it_is_told_where_the_version_comes_from_and_how_to_fetch_and_audit_it():
    told, digest = card(), on_card().defects[0].digest
    assert "- data set version: `0123456789ab`\n- release: `dataset-3`, a tag in git\n" in told
    assert f"- git revision: `{'f' * 40}`\n" in told
    assert f"| plate/pit | `data/pairs/plate/pit` | `{digest}` |\n" in told
    assert f"    dvc get . data/pairs/plate/pit --rev {'f' * 40}\n    defectline audit 0123456789ab\n" in told
    for head, words in {"Generator": "inpainting", **on_card().generator}.items():
        assert f"  - {head}: {words}\n" in told


def test_what_is_not_published_or_outside_git_says_so():
    told = card(origin=CardOrigin("0123456789ab", "", ""))
    assert "- release: none, it was not published yet\n- git revision: none, it was made outside git\n" in told
    assert front_of(told)["pretty_name"] == "Synthetic defects on plate, 0123456789ab"


@pytest.mark.parametrize(
    ("licences", "front"),
    [
        (["CC0-1.0"], {"license": "cc0-1.0"}),
        (["unknown"], {"license": "unknown"}),
        (["CC-BY-4.0", "CC-BY-4.0"], {"license": "cc-by-4.0"}),
        (["in-house: ask | the lab"], {"license": "other", "license_name": "in-house: ask | the lab"}),
        (["CC0-1.0", "unknown"], {"license": "other", "license_name": "CC0-1.0 and unknown"}),
    ],
)
def test_the_licence_of_the_source_data_is_told_in_words_and_as_hugging_face_has_it(licences, front):
    products = [replace(on_card(), product=f"p{i}", licence=licence) for i, licence in enumerate(licences)]
    told = card(*products)
    assert {key: value for key, value in front_of(told).items() if key.startswith("license")} == front
    assert ("p0: unknown. Nobody has said" in told) == (licences[0] == "unknown")
    assert "ask \\| the lab" in told or "|" not in licences[0]


def test_every_check_is_told_with_what_was_found():
    entries = [
        expectation("spread", success=False, severity="warning", observed="1 | 2"),
        expectation("pairs", threshold="", observed=""),
    ]
    gate = on_card().gate | {"expectations": entries}
    told = card(on_card(gate=gate))
    assert "### plate: passed (1 warning)\n" in told
    assert "| spread holds | at least 2 | 1 \\| 2 | warning |\n| pairs holds | – | – | passed |\n" in told
    assert "No check of it is on record." in card()


def test_what_it_is_worth_is_what_was_measured():
    told = card()
    assert RULING in told
    assert "- pit: 50% inpainting pairs and flips\n- scratch: real images with flips\n" in told
    assert "Gain out of fold: +0.030 pixel AP against real images with flips (90% interval +0.020 to +0.040; " in told
    assert "\nNo clear difference.\n" in told
    assert "rest on the images of the base set alone (7 pit, 5 scratch and 40 normal)" in told


def test_what_was_not_measured_is_told():
    left = {"left_out": ["arm paste_50: over the budget"]}
    undecided = choice(defects={"pit": chosen("undecidable")}, lift=None, **left)
    told = card(on_card(choice=undecided, evaluation=evaluation(verdict={}, left_out=["arm perlin_50: no time"])))
    for sentence in (
        "This recommends real images alone, so no gain is claimed.",
        "The detectors were not compared on real test images.",
        "- plate: not measured out of fold: arm paste_50: over the budget",
        "- plate: not measured on the test split: arm perlin_50: no time",
        "- plate: pit: The reason for undecidable.",
    ):
        assert sentence in told


def test_its_limits_are_those_of_the_few_real_samples():
    told = card()
    assert "- plate: the generator has seen 7 of pit and 5 of scratch real samples of the product" in told
    assert "- plate: the pairs show no other surroundings than the normal images beneath them" in told
    assert "no real defects in a test split" not in told
    counts = on_card().gate["counts"] | {"test": {"good": 5}}
    assert "no real defects in a test split" in card(on_card(gate=on_card().gate | {"counts": counts}))


def test_results_of_nothing_leave_no_blank():
    bare = on_card(ruling="", choice={}, evaluation={}, generator={})
    told = card(bare)
    assert "  - Generator: not on record\n" in told
    assert "No gain was measured out of fold." in told


def test_every_column_is_told_with_its_type_and_meaning():
    told = card()
    for field in arrow_schema(Pair):
        assert f"| `{field.name}` | {field.type} |".replace("<", "\\<").replace(">", "\\>") in told


def test_several_products_are_on_one_card():
    told = card(on_card(), replace(on_card(), product="tile"))
    assert "# Synthetic defects on plate and tile, dataset-3\n" in told and "80 image/mask pairs" in told
    assert told.count("### tile") == 2


def test_the_same_values_give_the_same_card():
    assert card() == card()


def test_a_description_says_it_in_a_line():
    assert describe_dataset(ORIGIN, on_card()) == (
        f"Pairs on plate: 20 of pit and 20 of scratch; version 0123456789ab, generator: inpainting. {RULING}"
    )


def test_pairs_are_counted_by_what_they_come_from_and_look_like():
    rows = [
        pair(index=0, parent_a="a", parent_b="b", normal_path="n", mask_kind="image"),
        pair(index=1, parent_a="b", parent_b="b", normal_path="m", mask_kind="transformed", width=30, height=20),
        pair(index=2, parent_a=None, parent_b=None, normal_path=None, mask_kind="attention", warp=[], alpha=None),
        pair(index=3, parent_a="c", parent_b="a", normal_path="n", mask_kind="image"),
    ]
    fields = [field for field in arrow_schema(Pair) if field.name not in PIXEL_COLUMNS]
    columns = [pa.array([getattr(row, field.name) for row in rows], field.type) for field in fields]
    found = count_pairs(pa.table(columns, schema=pa.schema(fields)))
    kinds = {"image": 2, "attention": 1, "transformed": 1}
    assert found == PairCounts(4, 3, 2, kinds, {"48 × 48": 3, "30 × 20": 1})
    assert list(found.kinds) == list(kinds)


def test_many_sizes_are_told_by_their_range():
    assert _sized({"640 × 480": 7}) == "640 × 480"
    assert _sized({"64 × 48": 7, "48 × 64": 3}) == "7 64 × 48, 3 48 × 64"
    sizes = {f"{width} × {height}": 1 for width, height in ((90, 100), (121, 70), (64, 48), (100, 101))}
    assert _sized(sizes) == "64 to 121 × 48 to 101, 4 sizes"
