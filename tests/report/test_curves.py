import pytest
from benefit_results import arm, curve_points, evaluation, score

from pipeline_tasks.report.contents import CurvePoint
from pipeline_tasks.report.curves import BOTTOM, LEFT, MARKERS, RIGHT, TOP, curve_chart


def scored(**means):
    arms = {name: arm(mean) for name, mean in means.items()}
    return evaluation(detectors={"unet": {"arms": arms}})


def names(points, results):
    return [curve.name for curve in curve_chart(points, results).curves]


def test_chosen_and_incumbent_come_first_then_the_best_of_each_kind():
    means = {"perlin_50": 0.55, "real": 0.2, "real_classic": 0.4, "real_flip": 0.3, "paste_50": 0.5, "paste_100": 0.1}
    means |= {"dit_25": 0.6, "dit_50": 0.7, "chosen": 0.65}
    assert names(curve_points(means), scored(**means)) == [
        "the chosen mixture",
        "real images with flips",
        "50% dit, flips",
        "50% Perlin texture, flips",
        "real images with classic augmentation",
    ]


def test_the_points_fill_the_frame_whatever_their_order():
    points = [CurvePoint("real_flip", 1.0, 0.0), CurvePoint("real_flip", 0.0, 1.0), CurvePoint("real_flip", 0.0, 0.5)]
    (curve,) = curve_chart(points, scored(real_flip=0.5)).curves
    middle = (TOP + BOTTOM) / 2
    assert curve.points == f"{LEFT:.1f},{TOP:.1f} {LEFT:.1f},{middle:.1f} {RIGHT:.1f},{BOTTOM:.1f}"
    assert curve.note == "AP 0.500 ± 0.010"


def test_lines_differ_in_the_shape_of_their_markers_and_lie_apart_in_the_key():
    means = dict.fromkeys(["chosen", "real_flip", "real", "paste_50", "dit_50"], 0.5)
    curves = curve_chart(curve_points(means), scored(**means)).curves
    assert len(curves) == len({curve.number for curve in curves}) == len({curve.key_y for curve in curves}) == 5
    letters = ["".join(c for c in curve.key_marker if c.isalpha()) for curve in curves]
    assert len(set(letters)) == 5
    assert all(len(curve.markers) == MARKERS for curve in curves)


def test_an_arm_that_is_not_scored_has_no_curve():
    results = evaluation(detectors={"unet": {"arms": {"real_flip": arm(0.5), "real": arm(pixel_ap=None)}}})
    assert names(curve_points(["real_flip", "real", "paste_50"]), results) == ["real images with flips"]


@pytest.mark.parametrize(
    ("points", "results"),
    [
        ([], evaluation()),
        (curve_points(["real_flip"]), {}),
        (curve_points(["real_flip"]), evaluation(detectors={})),
        (curve_points(["real_flip"]), {key: value for key, value in evaluation().items() if key != "headline"}),
        (curve_points(["paste_50"]), evaluation(detectors={"unet": {"arms": {"real": {"pixel_ap": score(0.5)}}}})),
    ],
)
def test_without_points_or_scores_there_is_no_chart(points, results):
    assert curve_chart(points, results) is None
