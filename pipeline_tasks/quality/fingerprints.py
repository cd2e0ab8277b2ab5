"""64-bit perceptual hashes in bulk: which images have a near copy among a million others, and how much they differ."""

from collections.abc import Iterable
from itertools import combinations, count, pairwise

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
BITS = 64
AGREEING = 3
"""Bands that two near hashes are sure to share, so that few others do: 3 of 5, 38 bits, for two differing bits."""


def read_hashes(texts: Iterable[str]) -> Hashes:
    """Return hashes [N] of 16 hex digits each. Raises ValueError for other text."""
    return np.frombuffer(bytes.fromhex("".join(texts)), ">u8").astype(np.uint64)


def near_copies(hashes: Hashes, max_bits: int) -> NDArray[np.bool_]:
    """Tell of each hash [N] whether another one differs from it in `max_bits` bits or fewer.

    Exact, without comparing all pairs: bits that differ lie in as many of max_bits + AGREEING bands at the most, so
    that near hashes agree in AGREEING whole bands (Manku et al., Detecting Near-Duplicates for Web Crawling, 2007).
    """
    values, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    near = np.asarray(counts > 1)
    edges = np.linspace(0, BITS, max_bits + AGREEING + 1).round().astype(int).tolist()
    bands = [((1 << high) - 1) ^ ((1 << low) - 1) for low, high in pairwise(edges)]
    for chosen in combinations(bands, AGREEING):
        _mark_near(values, values & np.uint64(sum(chosen)), near, max_bits)
    return np.asarray(near[inverse])


def near_copies_within(groups: NDArray[np.integer], hashes: Hashes, max_bits: int) -> NDArray[np.bool_]:
    """Tell the same, of hashes [N] in `groups` [N]: only those of one group are compared."""
    near = np.zeros(len(hashes), bool)
    order = np.argsort(groups, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        if len(members) > 1:
            near[members] = near_copies(hashes[members], max_bits)
    return near


def _mark_near(values: Hashes, keys: Hashes, near: NDArray[np.bool_], max_bits: int) -> None:
    """Compare those of `values` that are not `near` yet with all that share their key, and mark what is."""
    order = np.argsort(keys, kind="stable")
    values, keys, found = values[order], keys[order], near[order]
    for direction in (1, -1):
        lonely = np.flatnonzero(~found)
        for distance in count(1):
            lonely = lonely[(lonely + distance < len(keys)) if direction > 0 else (lonely >= distance)]
            lonely = lonely[keys[lonely] == keys[lonely + direction * distance]]
            if not lonely.size:
                break
            others = lonely + direction * distance
            close = np.bitwise_count(values[lonely] ^ values[others]) <= max_bits
            found[lonely[close]] = found[others[close]] = True
            lonely = lonely[~close]
    near[order] = found


def spread(hashes: Hashes) -> float:
    """Return the mean share of bits in which two of the hashes [N >= 2] differ: 0 = all alike, 0.5 = unrelated.

    By the bits' frequencies p, 2 p (1 - p) each: the mean over all pairs without forming them.
    """
    ones = np.array([np.count_nonzero(hashes >> np.uint64(bit) & np.uint64(1)) for bit in range(BITS)]) / len(hashes)
    return float(np.mean(2 * ones * (1 - ones)) * len(hashes) / (len(hashes) - 1))
