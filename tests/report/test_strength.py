import base64
from dataclasses import replace

import cv2
import numpy as np
import pytest
from rows import trials

from pipeline_tasks.report.strength import SHOWN, rank_correlation, strength_figures, strength_section


def decoded(picture):
    data = base64.b64decode(picture.uri.split(",", 1)[1])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


@pytest.mark.parametrize("changed", [[0, 4, 9, 20, 31], [0, 9, 4, 31, 20], [30, 20, 10, 5, 0]])
def test_the_rank_correlation_is_spearmans(changed):
    # Without ties it is 1 - 6 sum(d^2) / (n (n^2 - 1)), d being the difference of ranks.
    ranks = [sorted(changed).index(area) for area in changed]
    squares = sum((rank - place) ** 2 for place, rank in enumerate(ranks))
    assert rank_correlation(trials(1, changed)) == pytest.approx(1 - 6 * squares / (5 * 24))


def test_a_correlation_of_0_9_counts_as_such():
    # ranks 1 2 3 5 4 give 1 - 6 * 2 / 120
    assert "1 of 1 rows reach 0.9" in strength_section(trials(1, [0, 1, 2, 4, 3])).growth


def test_a_strength_that_changes_nothing_correlates_with_nothing():
    assert rank_correlation(trials(1, [0, 0, 0])) == 0


def test_figures_are_means_over_the_rows_whatever_their_order():
    rising, falling = trials(1, [0, 4, 9]), [replace(t, pair_index=7) for t in trials(1, [9, 4, 0], agreement=0.2)]
    mixed = [falling[2], *rising[::-1], *falling[:2]]
    assert strength_figures(mixed) == pytest.approx({"spearman_mean": 0, "spearman_least": -1, "agreement_mean": 0.4})


def test_agreement_counts_at_the_largest_strength():
    weak, strong = replace(trials(1, [0, 4])[0], agreement=0.9), trials(1, [0, 4], agreement=0.3)[1]
    assert strength_figures([weak, strong])["agreement_mean"] == 0.3


def test_without_trials_there_is_nothing_to_say():
    assert strength_figures([]) == {}
    assert strength_section([]) is None


@pytest.mark.parametrize(
    ("changed", "agreement", "words"),
    [
        ([0, 4, 9, 20], 0.7, ["1.00 on average", "5 of 5 rows reach 0.9", "grows with w_d", "marks what changed"]),
        (
            [0, 20, 9, 4],
            0.3,
            ["0.20 on average", "0 of 5 rows", "w_d does not rule the changed area", "has to tell the outline"],
        ),
        ([0, 9, 4, 20], 0.1, ["0.80 on average", "tends to grow", "does not tell where"]),
        ([20, 9, 4, 0], 0.1, ["-1.00 on average", "4 values of w_d, 0 to 3", "does not rule"]),
    ],
)
def test_the_figures_are_said_plainly(changed, agreement, words):
    section = strength_section(trials(5, changed, agreement))
    for text in words:
        assert text in section.growth + section.agreement


def test_pictures_of_some_rows_show_the_unchanged_image_then_rising_strengths():
    section = strength_section(trials(SHOWN + 2, [0, 20, 60])[::-1])
    assert len(section.grids) == len(section.masks) == SHOWN
    unchanged, *rising = section.grids[0]
    assert [picture.words[:5] for picture in rising] == ["w_d 1", "w_d 2"]
    assert decoded(unchanged).shape == (10, 10, 3)
    brightness = [decoded(picture).mean() for picture in (unchanged, *rising)]
    assert brightness == sorted(brightness, reverse=True)
    assert brightness[0] == pytest.approx(120, abs=2)


def test_what_changed_is_bright_where_it_changed():
    *_, change = strength_section(trials(1, [0, 40])).masks[0]
    picture = decoded(change)
    assert picture[: picture.shape[0] // 3].mean() > 250
    assert picture[picture.shape[0] // 2 :].mean() < 5
    assert "white = 80 levels" in change.words
