from dataclasses import replace

import numpy as np
import pytest
from benches import CLASSIC, FLIP, MADE, PASTE
from rows import noisy_sample, pair
from settings import settings, small_detector

from pipeline_tasks.benefit.arms import Arm
from pipeline_tasks.benefit.gathering import available, gather
from pipeline_tasks.schema import GOOD

PERLIN, CUTPASTE = Arm("perlin", 50, "flip"), Arm("cutpaste", 50, "flip")
BASE = [noisy_sample(defect, n) for defect in (GOOD, "pit", "scratch") for n in range(3)]
PAIRS = [pair("pit", n) for n in range(4)]
PARAMS = settings().masks.perlin


def gathered(arms, base=BASE, pairs=PAIRS, count=12, **sources):
    readers = {"inpainting": lambda: iter(pairs), **sources}
    return gather(base, readers, arms, PARAMS, small_detector(), count, 5)


def refused():
    raise AssertionError("nobody asked for it")


def test_only_what_an_arm_asks_for_is_read():
    material = gathered([FLIP, MADE], paste=refused)
    assert [one.path for one in material.real] == sorted(one.source_path for one in BASE)
    assert list(material.made) == ["inpainting"]
    assert [one.path for one in material.made["inpainting"]] == [one.pair_id for one in PAIRS]
    assert gathered([FLIP, CLASSIC], inpainting=refused).made == {}


def test_simulated_defects_are_spread_over_the_names_of_the_real_ones():
    material = gathered([CUTPASTE, PERLIN])
    assert list(material.made) == ["cutpaste", "perlin"]
    assert {one.defect for one in material.made["cutpaste"]} == {"pit", "scratch"}
    assert len(material.made["cutpaste"]) == 12


def paths_and_digests(material):
    pieces = [*material.real, *(one for its in material.made.values() for one in its)]
    return [(one.path, one.digest, one.origins) for one in pieces]


def test_the_order_of_samples_and_pairs_changes_nothing():
    order = np.random.default_rng(0).permutation(len(BASE))
    arms = [MADE, CUTPASTE, PERLIN]
    turned = gathered(arms, [BASE[int(i)] for i in order], PAIRS[::-1])
    assert paths_and_digests(turned) == paths_and_digests(gathered(arms))


def test_what_is_made_on_a_counterpart_comes_from_its_parent():
    parent = BASE[4].source_path  # no pair names it
    normal = replace(BASE[0], derived_from=parent)
    material = gathered([MADE, CUTPASTE], [normal, *BASE[3:]])
    pairs, cut = material.made["inpainting"], material.made["cutpaste"]
    assert all(parent in one.origins for one in [*pairs, *cut])
    assert material.without({parent}).made == {"inpainting": [], "cutpaste": []}


def test_synthetic_defects_keep_as_much_around_them_as_a_window_can_show_unless_told():
    (one, *_), (whole, *_) = (
        gather(BASE, {"inpainting": lambda: PAIRS}, [MADE], PARAMS, small_detector(), 4, 5, margin).made["inpainting"]
        for margin in (4, None)
    )
    assert one.scene.mask.shape == (14, 14)
    assert whole.scene.mask.shape == (48, 48)  # 32 px around would be more than there is


@pytest.mark.parametrize(
    "base", [[one for one in BASE if one.defect != GOOD], [one for one in BASE if one.defect == GOOD]]
)
def test_without_normal_images_or_without_defects_nothing_is_simulated(base):
    assert gathered([PERLIN, CUTPASTE], base).made == {"perlin": [], "cutpaste": []}


def test_arms_without_material_are_named():
    arms = [FLIP, PASTE, MADE, PERLIN]
    material = gathered(arms, [one for one in BASE if one.defect != GOOD])
    assert available(arms, material) == (
        [FLIP, MADE],
        ["arm paste_50: there are no defects by paste", "arm perlin_50: there are no defects by perlin"],
    )
