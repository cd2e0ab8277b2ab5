import pytest

from pipeline_tasks.report.forest import LEFT, RIGHT, Difference, forest


def row(low, high, name="paste"):
    return Difference(name, (low + high) / 2, low, high, 0.8)


def test_rows_keep_their_order_and_lie_within_the_frame():
    plot = forest([row(-0.4, -0.2, "a"), row(-0.1, 0.3, "b"), row(0.1, 0.2, "c")])
    assert [dot.name for dot in plot.dots] == ["a", "b", "c"]
    assert [dot.y for dot in plot.dots] == sorted(dot.y for dot in plot.dots)
    for dot in plot.dots:
        assert LEFT <= dot.low < dot.x < dot.high <= RIGHT
        assert plot.top < dot.y < plot.bottom < plot.height
    assert all(LEFT <= x <= RIGHT for x, _ in plot.ticks)


@pytest.mark.parametrize(("low", "high", "clear"), [(0.01, 0.2, True), (-0.3, -0.1, True), (-0.1, 0.2, False)])
def test_an_interval_without_zero_is_clear(low, high, clear):
    (dot,) = forest([row(low, high)]).dots
    assert dot.clear == clear


@pytest.mark.parametrize(("low", "high"), [(0.1, 0.2), (-0.2, -0.1), (0, 0)])
def test_zero_is_always_in_the_plot(low, high):
    plot = forest([row(low, high)])
    assert LEFT < plot.zero < RIGHT
    assert (plot.zero, "0") in plot.ticks


def test_nothing_to_compare_gives_no_plot():
    assert forest([]) is None
