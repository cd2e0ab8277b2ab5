from dataclasses import replace

import numpy as np
import pytest
import torch
from rows import MADE_BY, PROMPTS
from settings import KEEP_ALL

from pipeline_tasks.backends import inpainting
from pipeline_tasks.backends.inpainting import CARD, WEIGHTS, Inpainting, InpaintingBackend
from pipeline_tasks.backends.pairs import make_pairs
from pipeline_tasks.backends.protocol import RealDefect, Request
from pipeline_tasks.errors import ModelError
from pipeline_tasks.images.boxes import Box
from pipeline_tasks.images.codec import decode_image, encode_image, encode_mask
from pipeline_tasks.inpainting.appearance import CODE_SIZE
from pipeline_tasks.inpainting.network import make_unet
from pipeline_tasks.inpainting.source import Grain
from pipeline_tasks.params import GenerateInpainting, Keep

GRAIN = Grain(np.full((15, 15), 1 / 15, np.float32), np.eye(3, dtype=np.float32), 0.5)


@pytest.fixture
def folder(tmp_path):
    Inpainting(make_unet(1, [8, 16], seed=0), ["scratch"], 30.0, GRAIN, 32, 3).save(tmp_path / "model")
    return tmp_path / "model"


def test_what_is_saved_is_a_diffusers_folder_in_safetensors(folder):
    from diffusers import UNet2DModel

    plain = UNet2DModel.from_pretrained(folder)
    loaded = Inpainting.load(folder)
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", WEIGHTS, CARD]
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), loaded.unet.parameters(), strict=True))
    assert np.array_equal(loaded.grain.kernel, GRAIN.kernel) and loaded.grain.deviation == GRAIN.deviation
    assert (loaded.defects, loaded.scale, loaded.window_px, loaded.dilation_px) == (["scratch"], 30.0, 32, 3)


def test_a_missing_or_damaged_model_is_named(folder, tmp_path):
    with pytest.raises(ModelError, match=r"generator.json: missing"):
        Inpainting.load(tmp_path)
    (folder / WEIGHTS).write_bytes(b"\x00" * 40)
    with pytest.raises(ModelError, match=r"cannot be loaded"):
        Inpainting.load(folder)


def test_a_defect_it_was_not_trained_on_is_refused(folder, params, rows, defects, normals, known):
    backend = InpaintingBackend.load(folder, params)
    (row,) = rows([(0, 0)])
    with pytest.raises(ModelError, match=r"knows \['scratch'\], not 'pit'"):
        list(make_pairs(backend, [replace(row, defect="pit")], defects, normals, PROMPTS, known, params, MADE_BY))


def test_a_pair_depends_on_its_seed_and_not_on_its_batch(folder, params, rows, defects, normals, known):
    backend = InpaintingBackend.load(folder, params)
    row, other = rows([(0, 0), (9, 5)])
    (first,) = make_pairs(backend, [row], defects, normals, PROMPTS, known, params, MADE_BY)
    (again, _) = make_pairs(backend, [row, other], defects, normals, PROMPTS, known, params, MADE_BY)
    (reseeded,) = make_pairs(backend, [replace(row, seed=2)], defects, normals, PROMPTS, known, params, MADE_BY)
    difference = np.abs(decode_image(first.image).astype(int) - decode_image(again.image))
    assert difference.max() <= 1  # kernels may round differently in another batch
    assert first.image_sha256 != reseeded.image_sha256


def test_severity_scales_the_code_and_so_the_picture(folder, params, rows, defects, normals, known):
    strong = params.model_copy(update={"severity": 3.0})
    images = []
    for one in (params, strong):
        backend = InpaintingBackend.load(folder, one)
        pairs = make_pairs(backend, rows([(0, 0)]), defects, normals, PROMPTS, known, one, MADE_BY)
        images += [pair.image_sha256 for pair in pairs]
    assert images[0] != images[1]


def test_without_the_appearance_code_neither_severity_nor_the_parents_look_counts(
    tmp_path, params, rows, defects, normals, known
):
    uncoded = Inpainting(make_unet(1, [8, 16], seed=0), ["scratch"], 30.0, GRAIN, 32, 3, appearance_code=False)
    uncoded.save(tmp_path / "uncoded")
    other = {path: replace(one, image=encode_image(255 - decode_image(one.image))) for path, one in defects.items()}
    images, codes = set(), set()
    for parents, severity in ((defects, 1.0), (other, 3.0)):
        changed = params.model_copy(update={"severity": severity})
        backend = InpaintingBackend.load(tmp_path / "uncoded", changed)
        (pair,) = make_pairs(backend, rows([(0, 0)]), parents, normals, PROMPTS, known, changed, MADE_BY)
        images.add(pair.image_sha256)
        codes.add(tuple(pair.appearance_code))
    assert len(images) == 1 and codes == {(0.0,) * CODE_SIZE}


def test_the_code_that_was_used_lies_between_the_parents_by_alpha_times_severity(
    folder, params, rows, defects, normals, known, bar
):
    faint = np.where(bar[..., None], np.uint8(120), decode_image(defects["d/0.png"].image))
    parents = defects | {"d/1.png": replace(defects["d/0.png"], source_path="d/1.png", image=encode_image(faint))}

    def code(alpha, severity=1.0):
        changed = params.model_copy(update={"severity": severity})
        shown = [replace(row, parent_b="d/1.png", alpha=alpha) for row in rows([(0, 0)])]
        backend = InpaintingBackend.load(folder, changed)
        (pair,) = make_pairs(backend, shown, parents, normals, PROMPTS, known, changed, MADE_BY)
        assert pair.reference is None
        return np.array(pair.appearance_code)

    one, other = code(0.0), code(1.0)
    assert one.shape == (CODE_SIZE,) and np.abs(one - other).max() > 0.1
    assert np.allclose(code(0.25), 0.75 * one + 0.25 * other, atol=1e-6)
    assert np.allclose(code(0.0, severity=3.0), 3 * one, atol=1e-6)


def test_a_brighter_surface_shows_more_contrast_and_a_darker_one_no_less(folder, params, rows, defects, normals, known):
    backend = InpaintingBackend.load(folder, params)

    def code(level, own=150):
        host, parent = normals["g/0.png"], defects["d/0.png"]
        hosts = {"g/0.png": replace(host, image=encode_image(np.full((96, 96, 3), level, np.uint8)))}
        darker = np.uint8(decode_image(parent.image) * (own / 150))
        parents = {"d/0.png": replace(parent, image=encode_image(darker))}
        (pair,) = make_pairs(backend, rows([(0, 0)]), parents, hosts, PROMPTS, known, params, MADE_BY)
        return np.array(pair.appearance_code)

    assert np.allclose(code(200), 200 / 150 * code(150), rtol=0.02)
    assert np.allclose(code(40), code(150), rtol=0.02)
    assert np.allclose(code(250, own=15), inpainting.MAX_GAIN * code(15, own=15), rtol=0.1)


def test_the_shading_of_a_wide_defect_is_laid_over_the_new_one(folder, params, rows, normals):
    backend = InpaintingBackend.load(folder, params)
    wide, shifted = np.zeros((2, 96, 96), bool)
    wide[20:80, 10:80], shifted[30:70, 20:60] = True, True
    shaded = np.where(wide[..., None], np.linspace(20, 90, 96)[None, :, None], 150).astype(np.uint8).repeat(3, axis=2)
    parent = RealDefect(shaded, wide)
    (row,) = rows([(0, 0)])
    request = Request(row, np.full((96, 96, 3), 150, np.uint8), shifted, "", parent, parent, 1)
    region = inpainting._region(backend.model, request, 1.0)
    whole = Box(0, 0, region.place.height, region.place.width)
    planes = region.look.within(region.mask[0].numpy(), whole)
    colour, left, top = planes[..., 0] * backend.model.scale, region.place.x, region.place.y
    inside = colour[30 - top : 70 - top, 20 - left : 60 - left].mean(axis=0)
    assert inside[-4:].mean() - inside[:4].mean() == pytest.approx(51, rel=0.3)
    assert (np.diff(inside) > -1).all()
    part = Box(8, 12, 24, 32)
    shown = region.look.within(region.mask[0, 8:32, 12:44].numpy(), part)
    np.testing.assert_allclose(shown[..., :3], planes[8:32, 12:44, :3], atol=1e-5)


def test_a_pair_is_the_same_when_only_its_block_is_made(folder, params, rows, defects, normals, known):
    backend = InpaintingBackend.load(folder, params)

    def made(some):
        return list(make_pairs(backend, some, defects, normals, PROMPTS, known, params, MADE_BY))

    every = rows([(3 * index, 2 * index) for index in range(10)])
    assert made(every[4:8]) == made(every)[4:8]


def test_a_mask_at_the_very_corner_is_painted(folder, params, rows, defects, normals, known):
    backend = InpaintingBackend.load(folder, params)
    (pair,) = make_pairs(backend, rows([(-30, -40)]), defects, normals, PROMPTS, known, params, MADE_BY)
    assert pair.change_inside > 0 and pair.change_outside_max == 0


def test_condition_planes_are_no_larger_than_a_window(folder, params, rows, defects, normals, known, monkeypatch):
    sizes, planes = [], inpainting.condition_planes
    monkeypatch.setattr(
        inpainting, "condition_planes", lambda hole, *rest: sizes.append(hole.shape[-2:]) or planes(hole, *rest)
    )
    (row,) = rows([(0, 0)])
    long = replace(row, mask=encode_mask(np.eye(96, dtype=bool)), mask_area_px=96)
    backend = InpaintingBackend.load(folder, params)
    (pair,) = make_pairs(backend, [long], defects, normals, PROMPTS, known, params, MADE_BY)
    assert pair.change_inside > 0
    assert set(sizes) == {(64, 64)}


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({"inpainting": GenerateInpainting(steps=3)}, True),
        ({"severity": 2.0}, True),
        ({"dilation_px": 4}, True),
        ({"feather_px": 1}, True),
        ({"precision": "bfloat16"}, True),
        ({"keep": Keep(**KEEP_ALL | {"min_label_iou": 0.5})}, True),
        ({"attempts": 1}, True),
        ({"batch_size": 1}, False),
        ({"block_pairs": 2}, False),
        ({"shard_pairs": 8}, False),
    ],
)
def test_digest_tells_apart_what_changes_the_pairs(folder, params, change, counts):
    digests = {InpaintingBackend.load(folder, s).digest for s in (params, params.model_copy(update=change))}
    assert len(digests) == 1 + counts
    assert all(len(digest) == 64 for digest in digests)


def test_digest_tells_weights_apart(folder, params, tmp_path):
    Inpainting(make_unet(1, [8, 16], seed=1), ["scratch"], 30.0, GRAIN, 32, 3).save(tmp_path / "other")
    digests = {InpaintingBackend.load(model, params).digest for model in (folder, tmp_path / "other")}
    assert len(digests) == 2
