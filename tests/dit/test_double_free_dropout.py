import numpy as np
import pytest
from tiny_dit_training import tiny_params

from pipeline_tasks.dit.dropout import drop

MANY = 20_000


def shares(defective, dit):
    """Return the shares of (defect kept, product kept)."""
    product, named = drop(np.full(MANY, defective), tiny_params(dit).train.dit, np.random.default_rng(3))
    return {(d, p): float(np.mean((named == d) & (product == p))) for d in (True, False) for p in (True, False)}


def within_chance(found, expected):
    """Tell whether every share lies within four deviations of its binomial."""
    return all(
        abs(found[key] - expected[key]) <= 4 * np.sqrt(expected[key] * (1 - expected[key]) / MANY) for key in found
    )


def test_a_defect_image_loses_its_names_as_often_as_algorithm_1_says():
    expected = {(True, True): 0.64, (True, False): 0.16, (False, True): 0.128, (False, False): 0.072}
    assert within_chance(shares(True, {"product_dropout": 0.2, "defect_dropout": 0.2}), expected)


def test_a_normal_image_loses_its_product_alone():
    expected = {(True, True): 0.0, (True, False): 0.0, (False, True): 0.8, (False, False): 0.2}
    assert within_chance(shares(False, {"product_dropout": 0.2, "defect_dropout": 0.2}), expected)


@pytest.mark.parametrize(
    ("p1", "p2"), [(0.3, 0.1), (0.0, 0.5), (1.0, 0.5)], ids=["unequal", "products stay", "products go"]
)
def test_each_probability_has_its_place(p1, p2):
    good = p2 * (1 - p1) ** 2
    expected = {
        (True, True): (1 - p1) * (1 - p2),
        (True, False): p1 * (1 - p2),
        (False, True): good,
        (False, False): p2 - good,
    }
    assert within_chance(shares(True, {"product_dropout": p1, "defect_dropout": p2}), expected)
