import math
from dataclasses import replace

import numpy as np
import pytest
from rows import mask_row, sample
from settings import KEEP_ALL, settings

from pipeline_tasks.backends import judgement
from pipeline_tasks.backends.judgement import Failing, Scores, judge, known_defects, score
from pipeline_tasks.backends.protocol import RealDefect, Rendered, Request
from pipeline_tasks.images.boxes import Box
from pipeline_tasks.params import Keep
from pipeline_tasks.schema import GOOD

KEEP = settings().generate.keep
KNOWN = known_defects([sample()])
SOUND = Scores(36, 0.9, 0.6, 0.05, 12.5, "base/pit/000.png", 0.5)
BREACHES = [
    (Failing.BROKEN, {"change_inside": math.nan}),
    (Failing.EMPTY, {"mask_area_px": 0}),
    (Failing.FAINT, {"change_inside": 1.9}),
    (Failing.LABEL, {"alignment": 0.19}),
    (Failing.LABEL, {"label_iou": 0.09}),
    (Failing.SPILL, {"spill": 0.91}),
    (Failing.COPY, {"nearest_similarity": 0.995}),
]


def test_a_sound_pair_can_be_kept():
    assert judge(SOUND, KEEP) is None


@pytest.mark.parametrize(("reason", "breach"), BREACHES)
def test_each_breach_has_its_reason(reason, breach):
    assert judge(replace(SOUND, **breach), KEEP) is reason


def test_each_reason_can_apply_and_of_several_the_gravest_is_told():
    assert {reason for reason, _ in BREACHES} == set(Failing)
    worst, told = SOUND, []
    for _, breach in reversed(BREACHES):
        worst = replace(worst, **breach)
        told.append(judge(worst, KEEP))
    assert list(dict.fromkeys(reversed(told))) == list(Failing)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_image_with_invalid_values_is_never_kept(value):
    pixels, unchanged = np.full((8, 8, 3), value, np.float32), np.zeros((8, 8, 3), np.float32)
    mask = np.pad(np.ones((4, 4), bool), 2)
    real = RealDefect(np.zeros((8, 8, 3), np.uint8), mask)
    request = Request(mask_row(0, mask), np.zeros((8, 8, 3), np.uint8), mask, "", real, real, 1)
    for broken in (Rendered(Box(0, 0, 8, 8), pixels, unchanged), Rendered(Box(0, 0, 8, 8), unchanged, pixels)):
        assert judge(score(request, broken, 1, KNOWN), judgement.KEEP_ALL) is Failing.BROKEN


def test_what_is_just_allowed_is_kept():
    edge = Scores(
        1, KEEP.min_alignment, KEEP.min_label_iou, KEEP.max_spill, KEEP.min_change_inside, "", KEEP.max_similarity
    )
    assert judge(edge, KEEP) is None


def test_where_all_is_kept_only_an_empty_mask_fails():
    worst = Scores(1, 0.0, 0.0, 1.0, 0.0, "", 1.0)
    assert Keep(**KEEP_ALL) == judgement.KEEP_ALL
    assert judge(worst, judgement.KEEP_ALL) is None
    assert judge(replace(worst, mask_area_px=0), judgement.KEEP_ALL) is Failing.EMPTY


def test_scores_are_of_the_part_that_the_backend_saw():
    """Half of the mask turns from 100 to 150, and two pixels far from it."""
    mask = np.zeros((40, 50), bool)
    mask[10:14, 20:30] = True
    normal = np.full((40, 50, 3), 100, np.uint8)
    request = Request(mask_row(0, mask), normal, mask, "", *[RealDefect(normal, mask)] * 2, seed=1)
    part = np.s_[5:35, 10:45]
    painted = normal.astype(np.float32)
    painted[10:14, 20:25] = painted[30, 40:42] = 150
    rendered = Rendered(Box(5, 10, 30, 35), painted[part], normal[part].astype(np.float32))
    found = score(request, rendered, 2, known_defects([sample()]))
    assert (found.mask_area_px, found.change_inside) == (40, 25.0)
    assert found.label_iou == pytest.approx(20 / 42)
    assert found.spill == pytest.approx(2 / 22)
    assert 0.4 < found.alignment < 0.5


def test_normal_images_are_no_defects_to_copy():
    known = known_defects([sample(GOOD), sample(number=4)])
    assert known.nearest(np.zeros((32, 32), np.float32)) == ("base/pit/004.png", 0.0)
