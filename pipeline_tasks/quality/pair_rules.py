"""Rules on what the pairs show: honest labels, masks as real ones, and variety."""

from collections.abc import Iterator, Mapping, Sequence

from pipeline_tasks.params import Keep
from pipeline_tasks.quality.expected import Expected
from pipeline_tasks.quality.rule import FROM_REAL_MASKS, Rule, between, bounds
from pipeline_tasks.schema import GOOD
from pipeline_tasks.validate_params import Validate

LABELS, MASKS, VARIETY = "Labels", "Masks", "Variety"
PAIRS_PER_NORMAL = 5
"""Fewer pairs than this for each normal image asked for may share one by chance."""


def labels(params: Validate, expected: Expected, there: Sequence[str]) -> Iterator[Rule]:
    """Yield the rules on what changed against what the mask marks, for the defects that are `there`."""
    sentence = "Outside the dilated mask every pair equals its normal image"
    none = "0 grey levels of change"
    yield between("untouched_outside", LABELS, sentence, "change_outside_max", 0, 0, threshold=none)
    yield from _kept(expected.keep)
    least = params.labels.min_median_iou
    for defect in there:
        yield Rule(
            "label_iou",
            LABELS,
            f"The median mask of '{defect}' marks what changed",
            "ExpectColumnMedianToBeBetween",
            {"column": "label_iou", "min_value": least},
            f"IoU of at least {least:g}",
            params.labels.level,
            defect,
        )


def _kept(keep: Keep) -> Iterator[Rule]:
    """What generate promises of every pair (generate.keep), checked of every pair."""
    for column, low, high, sentence in (
        ("change_inside", keep.min_change_inside, None, "The defect shows inside every mask"),
        ("label_iou", keep.min_label_iou, None, "Every mask marks what changed"),
        ("alignment", keep.min_alignment, None, "Every change keeps to its mask"),
        ("spill", None, keep.max_spill, "No change spills far over its mask"),
        ("nearest_similarity", None, keep.max_similarity, "No pair is a plain copy of a base defect"),
    ):
        yield between("kept", LABELS, sentence, column, low, high, threshold=f"{column} {bounds(low, high)}")


def masks(params: Validate, expected: Expected, there: Sequence[str]) -> Iterator[Rule]:
    """Yield the rules on size and place of masks; what is learned on another product has nothing real to match."""
    some = "at least 1 px"
    yield between("mask_not_empty", MASKS, "Every mask marks something", "mask_area_px", 1, None, threshold=some)
    for defect in there:
        if defect in expected.zero_shot or not expected.paths(defect):
            continue
        yield _area(params, expected, defect)
        yield from _places(params, expected, defect)


def _area(params: Validate, expected: Expected, defect: str) -> Rule:
    (least, most), slack = expected.seen(defect, "mask_area_px"), params.mask_area.slack
    low, high = least / slack, most * slack
    return between(
        "mask_area",
        MASKS,
        f"Masks of '{defect}' are about as large as real ones ({bounds(least, most)} px)",
        "mask_area_px",
        low,
        high,
        mostly=params.mask_area.min_fraction,
        threshold=f"{params.mask_area.min_fraction:.0%} of them at {bounds(low, high)} px",
        severity=params.mask_area.level,
        defect=defect,
        where=FROM_REAL_MASKS,
    )


def _places(params: Validate, expected: Expected, defect: str) -> Iterator[Rule]:
    """A mask goes to (1 - s) seen + s anywhere of the room on the object, s being masks.placement_spread."""
    position, spread = params.mask_position, expected.placement_spread
    for column, axis in (("mask_x", "width"), ("mask_y", "height")):
        least, most = expected.seen(defect, column)
        low = max(0.0, (1 - spread) * least - position.slack)
        high = min(1.0, (1 - spread) * most + spread + position.slack)
        yield between(
            "mask_position",
            MASKS,
            f"Masks of '{defect}' are about where real ones are along the {axis} ({least:.0%} to {most:.0%} of it)",
            column,
            low,
            high,
            mostly=position.min_fraction,
            threshold=f"{position.min_fraction:.0%} of them at {low:.0%} to {high:.0%}",
            severity=position.level,
            defect=defect,
            where=FROM_REAL_MASKS,
        )


def variety(params: Validate, expected: Expected, made: Mapping[str, int]) -> Iterator[Rule]:
    """Yield the rules on likeness, of pairs to one another and to base defects; `made` pairs by defect, none zero."""
    near, several = params.near_duplicates, params.distinct_normals
    yield Rule(
        "near_duplicates",
        VARIETY,
        f"Few pairs look like another one on the same image (hashes that differ in at most {near.max_bits} of 64 bits)",
        "ExpectColumnPairValuesToHaveNoNearCopies",
        {"column_A": "normal_sha256", "column_B": "phash", "max_bits": near.max_bits, "mostly": 1 - near.max_fraction},
        f"at most {near.max_fraction:.0%}",
        near.level,
    )
    pairs = sum(made.values())
    fewest = min(several.min_count, len(expected.paths(GOOD)), max(min(1, pairs), pairs // PAIRS_PER_NORMAL))
    yield Rule(
        "distinct_normals",
        VARIETY,
        "The pairs are made on several normal images",
        "ExpectColumnUniqueValueCountToBeBetween",
        {"column": "normal_sha256", "min_value": fewest},
        f"at least {fewest}",
        several.level,
    )
    for defect, number in made.items():
        yield _memorised(params, defect, welcome=expected.keep.max_similarity == 1)
        if number > 1:
            yield _diversity(params, defect)


def _memorised(params: Validate, defect: str, *, welcome: bool) -> Rule:
    """Pasted defects are copies by design: where generate.keep lets any likeness pass, they are counted only."""
    copied = params.memorised
    most = 1.0 if welcome else copied.max_fraction
    return between(
        "memorised",
        VARIETY,
        f"Few pairs of '{defect}' copy a base defect (likeness above {copied.similarity:g})"
        if not welcome
        else f"Pairs of '{defect}' may copy base defects: generate.keep.max_similarity is 1, as for pasted ones",
        "nearest_similarity",
        None,
        copied.similarity,
        mostly=1 - most,
        threshold=f"at most {most:.0%}",
        severity=copied.level,
        defect=defect,
    )


def _diversity(params: Validate, defect: str) -> Rule:
    least = params.diversity.min_spread
    return Rule(
        "diversity",
        VARIETY,
        f"Pairs of '{defect}' differ from one another (share of their hashes' bits in the mean; 0.5 = unrelated)",
        "ExpectColumnHashSpreadToBeBetween",
        {"column": "phash", "min_value": least},
        f"at least {least:g}",
        params.diversity.level,
        defect,
    )
