"""Folds of the base set: every sample is left out once, shots of one part together (METHODS section 5, choice)."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline_tasks.backends.held_out import part_of
from pipeline_tasks.benefit.material import Piece
from pipeline_tasks.schema import GOOD, Sample
from pipeline_tasks.seeds import derive_seed


@dataclass(frozen=True, slots=True)
class Fold:
    """One cut: the paths of what is left out, and the images among it that are scored, in order."""

    left_out: frozenset[str]
    scored: tuple[str, ...]


def parts(samples: Iterable[Sample]) -> dict[str, str]:
    """Return the part that each sample shows, by source_path: its group of near-duplicates, or itself.

    A defect-free counterpart is of the part of the image that it was made from.
    """
    return {sample.source_path: part_of(sample) for sample in samples}


def count_parts(pieces: Sequence[Piece], part_of: Mapping[str, str]) -> dict[str, int]:
    """Return how many parts show each defect."""
    shown: dict[str, set[str]] = defaultdict(set)
    for piece in pieces:
        if piece.defect != GOOD:
            shown[piece.defect].add(part_of[piece.path])
    return {defect: len(its) for defect, its in sorted(shown.items())}


def make_folds(
    pieces: Sequence[Piece], part_of: Mapping[str, str], folds: int, normals: Collection[str], seed: int
) -> list[Fold]:
    """Return the folds of one repeat, drawn from `seed`, as even for every defect and for normal images as they can be.

    There are as many as asked for, or as there are parts with defects. Scored are the defect images that are left out
    and those of `normals`; counterparts are left out with what they were made from.
    """
    strata: dict[str, list[str]] = defaultdict(list)
    dealt: set[str] = set()
    for piece in sorted(pieces, key=lambda piece: (piece.defect == GOOD, piece.defect, piece.path)):
        if (part := part_of[piece.path]) not in dealt:
            strata[piece.defect].append(part)
            dealt.add(part)
    number = min(folds, sum(len(stratum) for defect, stratum in strata.items() if defect != GOOD))
    rng, turn = np.random.default_rng(derive_seed(seed, "folds")), 0
    place: dict[str, int] = {}
    for stratum in strata.values():
        for index in rng.permutation(len(stratum)):
            place[stratum[int(index)]] = turn % number
            turn += 1
    ordered = sorted(pieces, key=lambda piece: piece.path)
    return [_fold([p for p in ordered if place[part_of[p.path]] == fold], normals) for fold in range(number)]


def _fold(out: Sequence[Piece], normals: Collection[str]) -> Fold:
    scored = (piece.path for piece in out if piece.defect != GOOD or piece.path in normals)
    return Fold(frozenset(piece.path for piece in out), tuple(scored))


def scored_normals(pieces: Iterable[Piece], most: int, seed: int) -> frozenset[str]:
    """Return the normal images that every repeat scores: at most so many, drawn from `seed`; counterparts are none."""
    paths = sorted(piece.path for piece in pieces if piece.defect == GOOD and not piece.derived_from)
    drawn = np.random.default_rng(derive_seed(seed, "normals")).permutation(len(paths))[:most]
    return frozenset(paths[int(index)] for index in drawn)
