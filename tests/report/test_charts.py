from pipeline_tasks.report.charts import BOTTOM, HEIGHT, LEFT, MARGIN, WIDTH, loss_chart


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
