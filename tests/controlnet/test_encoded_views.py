from dataclasses import replace

import numpy as np
import pytest
import torch
from blob_product import PROMPTS, blob_sample, good_sample
from settings import settings
from tiny_training import tiny_base

from pipeline_tasks.controlnet.encoded_views import encode_views
from pipeline_tasks.errors import DataError
from pipeline_tasks.images.codec import decode_image, decode_mask
from pipeline_tasks.prompts import PromptBook

CPU = torch.device("cpu")


def backend(view="window"):
    return settings(backend={"name": "controlnet", "resolution_px": 64, "view": view}).backend


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def inpainting_base(tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("base"), in_channels=9)


def test_a_view_depends_on_its_sample_and_number_alone(base):
    many = encode_views(base, [blob_sample(n) for n in range(20)], [], PROMPTS, backend(), 2, seed=3)
    few = encode_views(base, [blob_sample(7)], [], PROMPTS, backend(), 2, seed=3)
    assert len(many) == many.defects == 40
    assert torch.equal(many.masks[14:16], few.masks)
    torch.testing.assert_close(many.latents[14:16], few.latents)
    other = encode_views(base, [blob_sample(7)], [], PROMPTS, backend(), 2, seed=4)
    assert not torch.equal(other.masks, few.masks)


def test_views_hold_the_defect_and_normal_ones_none(base):
    views = encode_views(base, [blob_sample(0)], [good_sample(0)], PROMPTS, backend(), 4, seed=0)
    assert (len(views), views.defects) == (8, 4)
    area = decode_mask(blob_sample(0).mask).sum()
    seen = views.pick(torch.tensor([5, 0, 1, 2, 3, 7]), torch.zeros(6, dtype=torch.long), CPU).mask
    assert seen.sum(dim=(1, 2, 3)).tolist() == [0, *[area] * 4, 0]
    assert torch.equal(seen[1:5], views.masks.float())
    assert len({tuple(mask.nonzero()[0].tolist()) for mask in views.masks}) > 1


def test_latents_are_those_of_the_pixels_under_the_mask(base):
    """A whole-image view is one of four mirror images of the sample."""
    views = encode_views(base, [blob_sample(0, side=64)], [], PROMPTS, backend("image"), 6, seed=0)
    pixels = torch.from_numpy(decode_image(blob_sample(0, side=64).image) / np.float32(127.5) - 1).permute(2, 0, 1)
    mask = torch.from_numpy(decode_mask(blob_sample(0, side=64).mask))
    for latents, seen in zip(views.latents, views.masks[:, 0], strict=True):
        axes = [a for a in ([], [0], [1], [0, 1]) if torch.equal(mask.flip(a), seen)]
        assert len(axes) == 1
        expected = base.encode(pixels.flip([a + 1 for a in axes[0]])[None])[0]
        torch.testing.assert_close(latents, expected, atol=1e-5, rtol=1e-4)


def test_every_view_has_its_prompt_and_the_empty_one_is_first(base):
    book = PromptBook(PROMPTS.defects, {"plate": {"blob/1.png": "round dark blob plate"}})
    views = encode_views(base, [blob_sample(0), blob_sample(1)], [good_sample(0)], book, backend(), 1, seed=0)
    texts = base.embed(["", "blob plate", "round dark blob plate", "good plate"])
    torch.testing.assert_close(views.texts[0], texts[0])
    torch.testing.assert_close(views.texts[views.prompts], texts[1:])
    picked = views.pick(torch.tensor([1, 2]), torch.tensor([0, 0]), CPU)
    torch.testing.assert_close(picked.text, texts[:1].expand(2, -1, -1))
    assert picked.mask.shape == (2, 1, 64, 64) and picked.known is None


def test_an_inpainting_base_is_shown_the_hole_of_defects_and_a_borrowed_one_on_normals(inpainting_base):
    views = encode_views(inpainting_base, [blob_sample(0)], [good_sample(0)], PROMPTS, backend(), 2, seed=0)
    cells = torch.nn.functional.max_pool2d(views.masks.float(), 4)
    assert torch.equal(views.known[:2, :1], cells)
    assert all(hole.any() for hole in views.known[2:, :1])


def test_defects_are_needed_and_their_masks_too(base):
    with pytest.raises(DataError, match="no defect sample"):
        encode_views(base, [], [good_sample(0)], PROMPTS, backend(), 1, seed=0)
    with pytest.raises(DataError, match=r"blob/0\.png: a defect without a mask"):
        encode_views(base, [replace(blob_sample(0), mask=None)], [], PROMPTS, backend(), 1, seed=0)
