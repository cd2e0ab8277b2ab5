import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_tasks.quality.fingerprints import near_copies, read_hashes, spread


def flipped(value, bits):
    return value ^ sum(1 << bit for bit in bits)


def by_all_pairs(hashes, max_bits):
    distances = np.bitwise_count(hashes[:, None] ^ hashes[None])
    np.fill_diagonal(distances, 64)
    return (distances <= max_bits).any(axis=1)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.sets(st.integers(0, 63), max_size=5)), min_size=1, max_size=40),
    st.integers(0, 4),
)
def test_banding_finds_what_comparing_all_pairs_finds(family, max_bits):
    roots = [0, 2**64 - 1, 0x123456789ABCDEF0, 0x0F0F0F0F0F0F0F0F]
    hashes = np.array([flipped(roots[root], bits) for root, bits in family], np.uint64)
    assert near_copies(hashes, max_bits).tolist() == by_all_pairs(hashes, max_bits).tolist()


def test_a_distance_of_max_bits_is_near_and_one_more_is_not():
    one = 0x123456789ABCDEF0
    for bits, near in (((0, 63), True), ((0, 31, 63), False)):
        assert near_copies(np.array([one, flipped(one, bits)], np.uint64), 2).tolist() == [near, near]


@pytest.mark.parametrize("hashes", ["the same", "within a few bits", "random"])
def test_near_copies_are_found_among_many(hashes):
    drawn = np.random.default_rng(0).integers(2**64, size=200_000, dtype=np.uint64)
    if hashes == "the same":
        drawn[:] = 7
    elif hashes == "within a few bits":
        drawn &= np.uint64(0xFFFF)
    near = near_copies(drawn, 2)
    assert near.all() if hashes != "random" else not near.any()


def test_hashes_are_read_from_hex_digits():
    assert read_hashes(["00000000000000ff", "8000000000000000"]).tolist() == [255, 2**63]
    with pytest.raises(ValueError, match="hex"):
        read_hashes(["not a hash......"])


def test_the_spread_is_the_mean_over_all_pairs():
    hashes = np.random.default_rng(0).integers(2**64, size=20, dtype=np.uint64)
    distances = np.bitwise_count(hashes[:, None] ^ hashes[None])[np.triu_indices(20, 1)]
    assert spread(hashes) == pytest.approx(distances.mean() / 64)
    assert spread(np.array([5, 5, 5], np.uint64)) == 0
