import re
from itertools import pairwise

import pytest

from pipeline_tasks.report.charts import BOTTOM, HEIGHT, LEFT, MARGIN, OUTLINES, WIDTH, loss_chart, shape_at, ticks


def points(line):
    return [tuple(map(float, point.split(","))) for point in line.points.split()]


def test_the_curve_fills_the_frame():
    chart = loss_chart({"step": [0, 5, 10], "held_out": [2.0, 1.0, 0.0]})
    assert points(chart.lines[0]) == [
        (LEFT, MARGIN),
        ((LEFT + WIDTH - MARGIN) / 2, (HEIGHT - BOTTOM + MARGIN) / 2),
        (WIDTH - MARGIN, HEIGHT - BOTTOM),
    ]
    assert [label for _, label in chart.x_ticks] == ["0", "10"]
    assert [label for _, label in chart.y_ticks] == ["0", "1", "2"]


def test_the_noisy_loss_is_smoothed():
    noisy = [1.0, 3.0] * 50
    chart = loss_chart({"step": list(range(100)), "loss": noisy})
    raw, smooth = chart.lines
    assert (raw.name, smooth.name) == ("each step", "loss, smoothed")
    assert raw.last == 3.0
    assert abs(smooth.last - 2.0) < 0.2


def test_a_held_out_loss_gets_its_own_line():
    chart = loss_chart({"step": [0, 1], "loss": [2.0, 1.0], "held_out": [2.5, 1.5]})
    assert [line.name for line in chart.lines] == ["each step", "loss, smoothed", "held_out"]
    assert len({line.style for line in chart.lines}) == 3


def test_no_curve_gives_no_chart():
    assert loss_chart({}) is None
    assert loss_chart({"step": [0], "loss": [1.0]}) is None


@pytest.mark.parametrize(("low", "high"), [(-0.237, 0.123), (0, 0.01), (-3, -1), (-0.004, 212.5)])
def test_ticks_are_round_even_and_inside(low, high):
    found = ticks(low, high)
    assert 3 <= len(found) <= 7
    assert low <= found[0] < found[-1] <= high
    steps = {round((b - a) / (found[1] - found[0]), 6) for a, b in pairwise(found)}
    assert steps == {1.0}
    assert f"{found[1] - found[0]:.0e}"[0] in "125"


@pytest.mark.parametrize("shape", OUTLINES)
def test_a_shape_stands_about_its_place(shape):
    path = shape_at(shape, 50, 50, 4).split("a")[0]
    numbers = [float(number) for number in re.findall(r"[MLHV ]([0-9.]+)", path)]
    assert numbers
    assert all(46 <= number <= 54 for number in numbers)
