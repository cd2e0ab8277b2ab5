import pytest
from benches import CLASSIC, FLIP, MADE, PASTE, REAL
from pydantic import ValidationError
from settings import settings

from pipeline_tasks.benefit.arms import Arm, read_arms, sources


@pytest.mark.parametrize(
    ("name", "arm", "short"),
    [
        ("real", REAL, "real"),
        ("real_none", REAL, "real"),
        ("real_flip", FLIP, "real_flip"),
        ("real_classic", CLASSIC, "real_classic"),
        ("paste_50", PASTE, "paste_50"),
        ("generator_50", MADE, "inpainting_50"),
        ("inpainting_50_flip", MADE, "inpainting_50"),
        ("generator_100_none", Arm("inpainting", 100, "none"), "inpainting_100_none"),
        ("perlin_7_classic", Arm("perlin", 7, "classic"), "perlin_7_classic"),
        ("cutpaste_25", Arm("cutpaste", 25, "flip"), "cutpaste_25"),
    ],
)
def test_a_spelling_is_an_arm_and_the_arm_has_one_spelling(name, arm, short):
    assert Arm.read(name, "inpainting") == arm
    assert str(arm) == short
    assert Arm.read(short, "inpainting") == arm


@pytest.mark.parametrize(
    "name",
    ["paste", "paste_0", "paste_101", "paste_050", "real_50", "real_flip_flip", "chosen", "dit_50", "", "real_flip "],
)
def test_another_spelling_is_refused_by_name(name):
    with pytest.raises(ValueError, match=f"'{name}' is no arm"):
        Arm.read(name, "inpainting")


@pytest.mark.parametrize(
    ("name", "arm"),
    [
        ("cutpaste_50", Arm("cutpaste", 50, "flip")),
        ("cutpaste_25_none", Arm("cutpaste", 25, "none")),
        ("paste_50", PASTE),
        ("generator_50", PASTE),
    ],
)
def test_another_source_whose_name_holds_the_generators_is_itself(name, arm):
    assert Arm.read(name, "paste") == arm
    assert Arm.read(str(arm), "paste") == arm


def test_shares_and_kinds():
    assert [arm.ratio for arm in (REAL, PASTE, Arm("perlin", 100, "flip"))] == [0, 0.5, 1]
    assert [arm.is_real for arm in (REAL, FLIP, PASTE, MADE)] == [True, True, False, False]


def test_an_arm_is_there_once_where_the_generator_pastes():
    assert read_arms(["real_flip", "generator_50", "paste_50_flip", "real"], "paste") == [FLIP, PASTE, REAL]


def test_sources_are_those_of_synthetic_defects_in_order():
    assert sources([REAL, MADE, PASTE, Arm("inpainting", 100, "none"), FLIP]) == ["inpainting", "paste"]


@pytest.mark.parametrize(
    ("arms", "complaint"),
    [
        (["real", "paste_50"], "'real_flip' must be among the arms"),
        (["real_flip", "paste_50", "paste_50"], "paste_50: named twice"),
        (["real_flip", "paste_500"], "String should match pattern"),
    ],
)
@pytest.mark.parametrize("section", ["choose", "evaluate"])
def test_parameters_with_unsound_arms_are_refused(section, arms, complaint):
    with pytest.raises(ValidationError, match=complaint):
        settings(**{section: {"arms": arms}})
