import hashlib
from dataclasses import replace

import numpy as np
import pytest

from pipeline_tasks.backends import pairs
from pipeline_tasks.backends.pairs import BLOCK_PAIRS, make_pairs
from pipeline_tasks.backends.paste import PasteBackend
from pipeline_tasks.errors import DataError, LeakageError
from pipeline_tasks.images.codec import decode_image, decode_mask
from pipeline_tasks.images.composite import dilate


class White:
    """A backend that paints the whole image white: everything the composite lets through shows."""

    name, digest = "white", "0" * 64

    def render(self, requests):
        return [np.full(r.normal.shape, 255, np.float32) for r in requests]


def test_the_part_is_untouched_outside_the_dilated_mask(settings, rows, defects, normals):
    (pair,) = make_pairs(White(), rows([(3, 4)]), defects, normals, "p", settings)
    image, mask = decode_image(pair.image), decode_mask(pair.mask)
    normal = decode_image(normals["g/0.png"].image)
    outside = ~dilate(mask, settings.dilation_px)
    assert (image[outside] == normal[outside]).all() and pair.change_outside_max == 0
    assert (image[mask] == 255).all()


def test_a_spill_is_measured(settings, rows, defects, normals):
    wide = settings.model_copy(update={"feather_px": 3, "dilation_px": 3})
    narrow = wide.model_copy(update={"dilation_px": 0})  # measured tighter than composited
    (pair,) = make_pairs(White(), rows([(0, 0)]), defects, normals, "p", narrow)
    assert pair.change_outside_max > 0


def test_provenance_is_complete_and_true(settings, rows, defects, normals):
    backend = PasteBackend(settings)
    (pair,) = make_pairs(backend, rows([(1, 2)]), defects, normals, "scratch plate", settings)
    assert pair.pair_id == "plate/scratch/000000" and pair.prompt == "scratch plate"
    assert (pair.backend, pair.backend_digest) == ("paste", backend.digest)
    assert pair.image_sha256 == hashlib.sha256(decode_image(pair.image).tobytes()).hexdigest()
    assert pair.mask_area_px == decode_mask(pair.mask).sum()
    assert not pair.normal_derived


def test_a_derived_normal_is_flagged(settings, rows, defects, normals):
    derived = {k: replace(v, derived_from="d/0.png") for k, v in normals.items()}
    (pair,) = make_pairs(White(), rows([(0, 0)]), defects, derived, "p", settings)
    assert pair.normal_derived


def test_pairs_do_not_depend_on_what_is_made_beside_them(settings, rows, defects, normals):
    many = rows([(i % 7, i % 5) for i in range(BLOCK_PAIRS + 3)])
    backend = PasteBackend(settings)
    together = list(make_pairs(backend, many, defects, normals, "p", settings))
    alone = [next(make_pairs(backend, [row], defects, normals, "p", settings)) for row in many]
    assert together == alone


def test_large_images_are_rendered_a_few_at_a_time(settings, rows, defects, normals, monkeypatch):
    blocks = []

    class Counting(White):
        def render(self, requests):
            blocks.append(len(requests))
            return super().render(requests)

    monkeypatch.setattr(pairs, "BLOCK_PX", 2 * 96 * 96)
    list(make_pairs(Counting(), rows([(0, 0)] * 5), defects, normals, "p", settings))
    assert blocks == [2, 2, 1]


def test_a_missing_sample_and_a_test_sample_stop_the_run_by_name(settings, rows, defects, normals):
    with pytest.raises(DataError, match=r"pair plate/scratch/0 .*'g/0.png'"):
        list(make_pairs(White(), rows([(0, 0)]), defects, {}, "p", settings))
    leaked = {k: replace(v, split="test") for k, v in defects.items()}
    with pytest.raises(LeakageError, match=r"'d/0.png' of the test split"):
        list(make_pairs(White(), rows([(0, 0)]), leaked, normals, "p", settings))
