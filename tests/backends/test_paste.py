import numpy as np
import pytest

from pipeline_tasks.backends.pairs import make_pairs
from pipeline_tasks.backends.paste import PasteBackend
from pipeline_tasks.images.codec import decode_image, decode_mask


def pasted(settings, rows, defects, normals):
    (pair,) = make_pairs(PasteBackend(settings), rows, defects, normals, "scratch plate", settings)
    return pair, decode_image(pair.image).astype(int), decode_mask(pair.mask)


def test_pastes_the_defect_where_the_mask_says_at_the_hosts_level(settings, rows, defects, normals):
    pair, image, mask = pasted(settings, rows([(5, -7)]), defects, normals)
    # The source's bar is a third of its surroundings; so must the pasted one be, on a host of another brightness.
    assert abs(image[mask].mean() - image[~mask].mean() / 3) < 6
    assert abs(image[~mask].mean() - 100) < 2
    assert pair.change_inside > 50


def test_an_interpolated_mask_is_filled_with_core_not_with_surroundings(settings, rows, defects, normals):
    (row,) = rows([(0, 20)])
    moved = type(row)(
        **{**{n: getattr(row, n) for n in row.__slots__}, "kind": "interpolated", "warp": [1, 0, 0, 0, 1, 0]}
    )
    _, image, mask = pasted(settings, [moved], defects, normals)
    assert image[mask].mean() < 50


def test_severity_scales_the_contrast(settings, rows, defects, normals):
    weak = settings.model_copy(update={"severity": 0.3})
    full, faint = (pasted(s, rows([(0, 0)]), defects, normals)[0].change_inside for s in (settings, weak))
    np.testing.assert_allclose(faint, 0.3 * full, rtol=0.1)


@pytest.mark.parametrize("change", [{"severity": 0.5}, {"dilation_px": 4}, {"feather_px": 1}])
def test_digest_tells_apart_what_changes_the_pairs(settings, change):
    other = PasteBackend(settings.model_copy(update=change))
    assert PasteBackend(settings).digest != other.digest and len(other.digest) == 64
