from dataclasses import replace

import numpy as np
import pytest
from rows import MADE_BY, PROMPTS
from settings import settings

from pipeline_tasks.backends import load_backend, load_trainer
from pipeline_tasks.backends.pairs import make_pairs
from pipeline_tasks.backends.paste import PasteBackend
from pipeline_tasks.backends.protocol import TrainingSamples
from pipeline_tasks.images.codec import decode_image, decode_mask
from pipeline_tasks.storage import read_json


def pasted(params, rows, defects, normals, known):
    (pair,) = make_pairs(PasteBackend(params), rows, defects, normals, PROMPTS, known, params, MADE_BY)
    return pair, decode_image(pair.image).astype(int), decode_mask(pair.mask)


def test_pastes_the_defect_where_the_mask_says_at_the_hosts_level(params, rows, defects, normals, known):
    pair, image, mask = pasted(params, rows([(5, -7)]), defects, normals, known)
    # The source's bar is a third of its surroundings; so must the pasted one be, on a host of another brightness.
    assert abs(image[mask].mean() - image[~mask].mean() / 3) < 6
    assert abs(image[~mask].mean() - 100) < 2
    assert pair.change_inside > 50


def test_an_interpolated_mask_is_filled_with_core_not_with_surroundings(params, rows, defects, normals, known):
    (row,) = rows([(0, 20)])
    moved = replace(row, kind="image", warp=[1, 0, 0, 0, 1, 0])
    _, image, mask = pasted(params, [moved], defects, normals, known)
    assert image[mask].mean() < 50


def test_severity_scales_the_contrast(params, rows, defects, normals, known):
    weak = params.model_copy(update={"severity": 0.3})
    full, faint = (pasted(s, rows([(0, 0)]), defects, normals, known)[0].change_inside for s in (params, weak))
    np.testing.assert_allclose(faint, 0.3 * full, rtol=0.1)


def test_a_mask_at_the_very_corner_is_pasted(params, rows, defects, normals, known):
    pair, image, mask = pasted(params, rows([(-30, -40)]), defects, normals, known)
    assert mask[0, 0] and image[mask].mean() < 60
    assert pair.change_outside_max == 0


@pytest.mark.parametrize("change", [{"severity": 0.5}, {"dilation_px": 4}, {"feather_px": 1}])
def test_digest_tells_apart_what_changes_the_pairs(params, change):
    other = PasteBackend(params.model_copy(update=change))
    assert PasteBackend(params).digest != other.digest and len(other.digest) == 64


def test_nothing_is_trained_and_the_card_says_so(tmp_path, defects):
    params = settings(backend={"name": "paste"})
    trained = load_trainer(params, tmp_path).train(TrainingSamples([*defects.values()], [], PROMPTS), 0, None, iter)
    trained.save(tmp_path / "model")
    assert [file.name for file in (tmp_path / "model").iterdir()] == ["generator.json"]
    assert read_json(tmp_path / "model" / "generator.json") == {"backend": "paste"}
    assert list(trained.losses) == []
    assert load_backend(params, tmp_path / "model", tmp_path) == PasteBackend(params.generate)
