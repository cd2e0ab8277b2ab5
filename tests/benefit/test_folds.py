from collections import Counter
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from benches import grouped, piece
from rows import sample

from pipeline_tasks.benefit.folds import count_parts, make_folds, parts, scored_normals
from pipeline_tasks.schema import GOOD

PITS = [piece("pit", f"pit/{n}") for n in range(7)]
SCRATCHES = [piece("scratch", f"scratch/{n}") for n in range(3)]
NORMALS = [piece(GOOD, f"good/{n}") for n in range(8)]
COUNTERPARTS = [piece(GOOD, f"pit/{n}#defect_free", derived_from=f"pit/{n}") for n in range(7)]
PIECES = [*PITS, *SCRATCHES, *NORMALS, *COUNTERPARTS]
PART_OF = {one.path: one.derived_from or one.path for one in PIECES} | {"pit/1": "pit/0", "pit/1#defect_free": "pit/0"}
SCORED = {"good/0", "good/3", "good/5"}


def folds_of(pieces=PIECES, part_of=PART_OF, folds=5, seed=0):
    return make_folds(pieces, part_of, folds, SCORED, seed)


def cut(folds):
    return [fold.left_out for fold in folds]


def test_the_part_is_the_group_or_what_a_counterpart_was_made_of_or_the_image_itself():
    one, other, alone = grouped([sample("pit", n) for n in range(3)], 0, 1)
    made = [
        replace(of, defect=GOOD, source_path=f"{of.source_path}#", derived_from=of.source_path) for of in (other, alone)
    ]
    assert parts([one, other, alone, *made]) == {
        one.source_path: one.source_path,
        other.source_path: one.source_path,
        alone.source_path: alone.source_path,
        made[0].source_path: one.source_path,
        made[1].source_path: alone.source_path,
    }


def test_shots_of_one_part_show_a_defect_once():
    assert count_parts(PIECES, PART_OF) == {"pit": 6, "scratch": 3}


@pytest.mark.parametrize("seed", range(5))
def test_every_image_is_left_out_once_with_the_other_shots_and_the_counterparts_of_its_part(seed):
    folds = folds_of(seed=seed)
    assert len(folds) == 5
    assert Counter(path for fold in folds for path in fold.left_out) == Counter(one.path for one in PIECES)
    for fold in folds:
        assert {PART_OF[path] for path in fold.left_out}.isdisjoint(
            PART_OF[one.path] for one in PIECES if one.path not in fold.left_out
        )


@pytest.mark.parametrize("seed", range(5))
def test_folds_are_even_for_every_defect_and_for_normal_images(seed):
    for shown in (SCRATCHES, NORMALS, [one for one in PITS if one.path != "pit/1"]):
        sizes = [sum(one.path in fold.left_out for one in shown) for fold in folds_of(seed=seed)]
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_something_of_every_defect_stays_to_learn_from(seed):
    for fold in folds_of(folds=2, seed=seed):
        assert {one.defect for one in [*PITS, *SCRATCHES] if one.path not in fold.left_out} == {"pit", "scratch"}


def test_defects_and_the_chosen_normal_images_are_scored_once_but_no_counterpart():
    scored = [path for fold in folds_of() for path in fold.scored]
    assert sorted(scored) == sorted({one.path for one in [*PITS, *SCRATCHES]} | SCORED)
    for fold in folds_of():
        assert list(fold.scored) == sorted(fold.scored)
        assert set(fold.scored) <= fold.left_out


def test_there_are_as_many_folds_as_parts_with_defects_at_the_most():
    assert len(folds_of([*PITS[:3], *NORMALS])) == 2
    assert len(folds_of([*PITS[2:4], *SCRATCHES[:1], *NORMALS])) == 3


def test_without_normal_images_defects_are_left_out_all_the_same():
    assert sorted(path for fold in folds_of(PITS, folds=3) for path in fold.scored) == [one.path for one in PITS]


def test_the_cut_depends_on_the_seed_and_not_on_the_order_of_the_images():
    shuffled = [PIECES[int(i)] for i in np.random.default_rng(0).permutation(len(PIECES))]
    assert folds_of(shuffled) == folds_of()
    assert all(set(cut(folds_of(seed=a))) != set(cut(folds_of(seed=b))) for a, b in combinations(range(4), 2))


def test_the_scored_normal_images_are_real_few_and_always_the_same():
    drawn = scored_normals(PIECES, 3, 0)
    assert drawn == scored_normals(PIECES[::-1], 3, 0)
    assert len(drawn) == 3
    assert drawn <= {one.path for one in NORMALS}
    assert scored_normals(PIECES, 30, 0) == {one.path for one in NORMALS}
    assert scored_normals(PIECES, 0, 0) == scored_normals(PITS, 3, 0) == frozenset()
    assert len({scored_normals(PIECES, 3, seed) for seed in range(5)}) > 1
