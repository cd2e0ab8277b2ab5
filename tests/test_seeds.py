from hypothesis import given
from hypothesis import strategies as st

from pipeline_tasks.seeds import derive_seed


def test_the_same_parts_give_the_same_seed_on_every_machine():
    assert derive_seed(0, "plate", "pit", 7) == derive_seed(0, "plate", "pit", 7) == 2217285040808879865


@given(st.integers(0, 2**63), st.lists(st.text(max_size=5) | st.integers(0, 10**6), max_size=4))
def test_seeds_fit_signed_64_bit_integers(run_seed, parts):
    assert 0 <= derive_seed(run_seed, *parts) < 2**63


def test_other_parts_give_other_seeds():
    seeds = [
        derive_seed(run, p, d, i) for run in range(3) for p in ("a", "b") for d in ("pit", "dent") for i in range(99)
    ]
    assert len(set(seeds)) == len(seeds)
    assert derive_seed(0, "a", "bc") != derive_seed(0, "ab", "c")
    assert derive_seed(0, 1, 23) != derive_seed(0, 12, 3)
    assert derive_seed(0, "a", "b") != derive_seed(0, "b", "a")


def test_a_seed_uses_all_63_bits():
    combined = 0
    for index in range(200):
        combined |= derive_seed(0, index)
    assert combined == 2**63 - 1
