from dataclasses import replace

import numpy as np
import pytest
from benches import FLIP, MADE, GradedBench, grouped
from rows import noisy_sample, pair, sample
from settings import settings, small_detector

from pipeline_tasks.benefit.crossing import Crossing
from pipeline_tasks.benefit.gathering import gather
from pipeline_tasks.schema import GOOD

CHOOSE = settings(choose={"folds": 3, "normals": 4}).choose
SETTINGS = settings()


def counterpart(of):
    return replace(of, defect=GOOD, source_path=f"{of.source_path}#defect_free", derived_from=of.source_path, mask=None)


PITS = grouped([noisy_sample("pit", n) for n in range(5)], 1, 3)
SCRATCHES = [noisy_sample("scratch", n) for n in range(2)]
NORMALS = grouped([noisy_sample(GOOD, n) for n in range(6)], 0, 5)
BASE = [*PITS, *SCRATCHES, *NORMALS, *map(counterpart, PITS)]
HOSTS = [one.source_path for one in BASE if one.defect == GOOD]
PAIRS = [
    pair("pit", n, parent_a=PITS[n % 5].source_path, parent_b=PITS[n % 3].source_path, normal_path=HOSTS[n % 11])
    for n in range(40)
]


def crossing(base=BASE, pairs=PAIRS, params=CHOOSE, **bench):
    bench = GradedBench(lambda arm, path: 3.0, **bench)
    arms = [FLIP, MADE]
    material = gather(base, {"inpainting": lambda: pairs}, arms, SETTINGS.masks.perlin, small_detector(), 9, 0)
    return Crossing(params, 7, "plate", base, material, bench)


def recipe(found, arm):
    return dict.fromkeys(found.material.defects, arm)


def test_nothing_is_learned_from_a_scored_image_its_part_or_what_was_made_from_them():
    found = crossing()
    found.scores(recipe(found, MADE), 3)
    assert len(found.bench.calls) == 9
    for material, _, _, scored in found.bench.calls:
        left_out = {found.part_of[path] for path in scored}
        everything = [*material.real, *material.made["inpainting"]]
        assert left_out.isdisjoint(found.part_of[path] for one in everything for path in one.origins)
        assert material.made["inpainting"]


def test_there_are_no_more_folds_than_parts_with_defects():
    assert crossing().folds == 3
    few = crossing([PITS[0], PITS[2], *NORMALS], pairs=[])
    assert few.folds == 2
    few.scores(recipe(few, FLIP), 3)
    assert len(few.bench.calls) == 2 * 3


def test_every_defect_image_and_some_normal_ones_are_scored_once_a_repeat_in_one_order():
    found = crossing()
    scored = found.scores(recipe(found, MADE), 3)
    paths = [[one.source_path for one in repeat] for repeat in scored]
    assert paths[0] == paths[1] == paths[2] == sorted(paths[0])
    defects = [path for path in paths[0] if "good" not in path]
    assert defects == sorted(one.source_path for one in [*PITS, *SCRATCHES])
    assert len(paths[0]) == len(defects) + 4
    assert not any("#" in path for path in paths[0])


def test_arms_are_trained_on_the_same_folds_from_the_same_seeds():
    found = crossing()
    both = []
    for arm in (FLIP, MADE):
        found.bench.calls.clear()
        found.scores(recipe(found, arm), 2)
        both.append([(seed, scored, [p.path for p in left.real]) for left, _, seed, scored in found.bench.calls])
    assert both[0] == both[1]
    assert len({seed for seed, _, _ in both[0]}) == 6
    assert both[0][:3] != both[0][3:]  # another repeat, another cut


def test_fewer_repeats_are_the_first_of_more():
    few, many = (crossing().scores({"pit": FLIP, "scratch": FLIP}, repeats) for repeats in (1, 2))
    assert [one.counts.tolist() for one in few[0]] == [one.counts.tolist() for one in many[0]]


def test_the_order_of_samples_and_pairs_changes_nothing():
    order = np.random.default_rng(0).permutation(len(BASE))
    asked = []
    for found in (crossing(), crossing([BASE[int(i)] for i in order], PAIRS[::-1])):
        found.scores(recipe(found, MADE), 2)
        asked.append(
            [
                (seed, scored, [p.path for p in [*left.real, *left.made["inpainting"]]])
                for left, _, seed, scored in found.bench.calls
            ]
        )
    assert asked[0] == asked[1]


def test_defects_that_one_part_shows_or_no_real_image_are_undecidable():
    base = [*PITS, SCRATCHES[0], *grouped([noisy_sample("stain", n) for n in range(3)], 0, 1, 2)]
    found = crossing(base, [*PAIRS, pair("crack", 0, source="tile")])
    assert found.defects == ["pit"]
    assert found.undecidable() == {
        "crack": "There is no real image of it to measure with.",
        "scratch": "One part shows it: it cannot be learned from and left out at once.",
        "stain": "One part shows it: it cannot be learned from and left out at once.",
    }
    assert len(found.scores(recipe(found, FLIP), 1)[0]) == len(base)  # they are left out and scored with the others


def test_a_single_normal_image_and_none_are_no_trouble():
    for base in ([*PITS, NORMALS[1]], PITS):
        found = crossing(base)
        (scored,) = found.scores(recipe(found, MADE), 1)
        assert [one.source_path for one in scored] == sorted(one.source_path for one in base)


@pytest.mark.parametrize(("folds", "expected"), [(3, 3), (20, 6)])
def test_a_repeat_takes_as_long_as_its_folds(folds, expected):
    found = crossing(params=CHOOSE.model_copy(update={"folds": folds}), training_seconds=2.0)
    assert found.seconds(recipe(found, FLIP)) == 2 * expected


def test_other_products_have_other_folds():
    here = crossing()
    there = replace(here, product="tile", bench=GradedBench(lambda arm, path: 3.0))
    for found in (here, there):
        found.scores(recipe(found, FLIP), 1)
    assert [call[3] for call in here.bench.calls] != [call[3] for call in there.bench.calls]


def test_without_defects_there_is_nothing_to_cross():
    found = crossing([sample(GOOD, n) for n in range(3)], [])
    assert (found.defects, found.undecidable()) == ([], {})
