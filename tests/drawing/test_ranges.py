from collections import Counter

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline_tasks.drawing.ranges import Count, Range, Shares, Size, between, chosen, log_between
from pipeline_tasks.section import Section


class Some(Section):
    range: Range = (0.0, 0.0)
    size: Size = (1.0, 1.0)
    shares: Shares = (0.0, 0.0)
    count: Count = (0, 0)


def test_lists_of_yaml_are_read() -> None:
    some = Some.model_validate({"range": [-1, 2.5], "size": [0.5, 3], "shares": [0, 1], "count": [2, 4]})
    assert (some.range, some.size, some.shares, some.count) == ((-1, 2.5), (0.5, 3), (0, 1), (2, 4))


@pytest.mark.parametrize(
    "wrong",
    [
        {"range": [2, 1]},
        {"range": [1]},
        {"range": [0, 1, 2]},
        {"range": ["0", 1]},
        {"size": [0, 1]},
        {"shares": [0.5, 1.5]},
        {"count": [0.5, 2]},
        {"count": [-1, 2]},
    ],
)
def test_what_is_no_range_is_refused(wrong: dict[str, list[float]]) -> None:
    with pytest.raises(ValidationError):
        Some.model_validate(wrong)


def test_draws_stay_in_range_and_fill_it_evenly() -> None:
    rng = np.random.default_rng(0)
    even = np.array([between(rng, (-2, 6)) for _ in range(4000)])
    octaves = np.log2([log_between(rng, (0.5, 8)) for _ in range(4000)])
    assert -2 <= even.min() < -1.9 and 5.9 < even.max() <= 6 and abs(even.mean() - 2) < 0.15
    assert -1 <= octaves.min() < -0.95 and 2.95 < octaves.max() <= 3 and abs(octaves.mean() - 1) < 0.08


def test_names_are_drawn_by_weight() -> None:
    rng = np.random.default_rng(0)
    counts = Counter(chosen(rng, {"often": 3.0, "seldom": 1.0}) for _ in range(4000))
    assert 2800 < counts["often"] < 3200
    assert counts.total() == counts["often"] + counts["seldom"]
