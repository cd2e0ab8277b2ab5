import numpy as np
import pytest

from pipeline_tasks.measures.distances import UnmeasurableError
from pipeline_tasks.measures.memorisation import nearness


def features(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 16)).astype(np.float32)


def test_copies_are_found():
    known = features(10)
    copied = nearness(known[[0, 3, 3, 7]] * 2, known)
    assert copied.ratio == pytest.approx(0, abs=1e-6)
    assert copied.closer == 1


def test_a_share_of_copies_is_told():
    known = features(10)
    mixed = nearness(np.concatenate([known[:3], features(9, seed=1)]), known)
    assert mixed.closer == 0.25
    assert mixed.ratio > 0.5


def test_new_views_of_the_kind_are_as_far_as_the_known_ones():
    fresh = nearness(features(200, seed=1), features(200))
    assert fresh.ratio == pytest.approx(1, abs=0.1)
    assert fresh.closer < 0.05


def test_distances_are_medians_of_unit_features():
    """At angles 0, 90 and 180 degrees the known views are all next to one at the root of 2."""
    known = np.array([[1, 0], [0, 5], [-2, 0]], np.float32)
    made = np.array([[3, 0], [1, 1], [1, -1]], np.float32)
    found = nearness(made, known)
    assert found.ratio == pytest.approx(np.sqrt(2 - np.sqrt(2)) / np.sqrt(2), rel=1e-6)
    assert found.closer == 1


@pytest.mark.parametrize("made, known", [(3, 1), (3, 0), (0, 3)])
def test_too_few_views_are_told(made, known):
    with pytest.raises(UnmeasurableError, match=f"there are {known} and {made}"):
        nearness(features(made), features(known))


def test_known_views_that_are_all_alike_say_nothing():
    with pytest.raises(UnmeasurableError, match="alike"):
        nearness(features(3), features(1).repeat(4, axis=0))
