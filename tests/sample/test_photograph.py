import numpy as np
import pytest

from pipeline_tasks.drawing.defects import DEFECTS, SEVERITIES, Severity
from pipeline_tasks.images.codec import Pixels
from pipeline_tasks.sample.photograph import photograph

NAMES = ("test/a", "test/b")


@pytest.fixture(scope="module")
def good() -> dict[str, Pixels]:
    return {name: photograph(7, name).pixels for name in NAMES}


@pytest.mark.parametrize("severity", SEVERITIES, ids=lambda severity: severity.name)
@pytest.mark.parametrize("defect", DEFECTS)
def test_the_mask_is_exactly_what_the_defect_changed(good: dict[str, Pixels], defect: str, severity: Severity) -> None:
    for name in NAMES:
        pixels, mask = photograph(7, name, defect, severity)
        change = np.abs(pixels.astype(float) - good[name]).max(axis=2)
        assert 20 < mask.sum() < 0.05 * mask.size
        assert change[~mask].max() == 0
        assert change[mask].mean() > 8
        assert (change[mask] >= 3).mean() > 0.9


@pytest.mark.parametrize("defect", DEFECTS)
def test_defects_lie_on_metal(good: dict[str, Pixels], defect: str) -> None:
    for name in NAMES:
        assert good[name][photograph(7, name, defect, SEVERITIES[2]).mask].min() > 60


def test_a_defect_ends_with_the_face(good: dict[str, Pixels], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        DEFECTS, "flood", lambda rng, face, severity: np.full((*face.grid.x.shape, 3), -0.5, np.float32)
    )
    mask = photograph(7, NAMES[0], "flood", SEVERITIES[0]).mask
    assert mask.mean() > 0.35
    assert good[NAMES[0]][mask].min() > 60


def test_a_good_plate_has_an_empty_mask() -> None:
    pixels, mask = photograph(7, NAMES[0])
    assert pixels.shape == (*mask.shape, 3)
    assert pixels.dtype == np.uint8
    assert not mask.any()


def test_seed_and_name_alone_decide(good: dict[str, Pixels]) -> None:
    np.testing.assert_array_equal(photograph(7, NAMES[0]).pixels, good[NAMES[0]])
    assert (good[NAMES[0]] != good[NAMES[1]]).mean() > 0.5
    assert (photograph(8, NAMES[0]).pixels != good[NAMES[0]]).mean() > 0.5
