from dataclasses import replace

import pytest
import torch
from blob_product import PROMPTS, blob_sample, good_sample
from tiny_dit_training import BOOK, tiny_base, tiny_params

from pipeline_tasks.diffusion.random_views import random_views
from pipeline_tasks.dit.encoded_views import encode_views
from pipeline_tasks.dit.texts import Names
from pipeline_tasks.errors import DataError

CPU = torch.device("cpu")
BACKEND = tiny_params().backend
TIN, LID = Names("tin", "dot"), Names("lid", "dot")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def views(base):
    """Two views of each: a blob on a plate, one on a lid, a good plate."""
    return encode_views(base, defects(), iter([good_sample(0)]), BOOK, BACKEND, 2, seed=3)


def defects():
    return [blob_sample(0), replace(blob_sample(1), product="lid")]


def seen_views():
    return list(random_views(defects(), [good_sample(0)], BOOK, BACKEND, 2, 3))


def test_every_view_has_its_samples_names(views):
    assert [*views.names] == [TIN, TIN, LID, LID, TIN.without_defect(), TIN.without_defect()]
    assert (len(views), views.defects) == (6, 4)


def test_latents_are_those_of_the_pixels_and_of_the_mask_as_a_picture(base, views):
    for number, view in enumerate(seen_views()):
        latents = base.encode(torch.from_numpy(view.pixels.copy())[None])[0]
        torch.testing.assert_close(views.latents[number], latents, atol=1e-5, rtol=1e-4)
        if number < views.defects:
            picture = torch.where(torch.from_numpy(view.mask.copy()), 1.0, -1.0).expand(1, 3, -1, -1)
            mask_latents = base.encode(picture)[0]
            torch.testing.assert_close(views.mask_latents[number], mask_latents, atol=1e-5, rtol=1e-4)


def test_a_cell_of_a_mask_holds_the_defects_share(views):
    for mask, view in zip(views.masks, seen_views(), strict=False):
        shares = view.mask.reshape(8, 4, 8, 4).mean(axis=(1, 3))
        assert torch.equal(mask[0].double(), torch.from_numpy(shares))
        assert 0 < mask.max() <= 1


def test_normal_images_are_picked_with_an_empty_mask(views):
    seen = views.pick(torch.tensor([5, 1, 3]), CPU)
    assert torch.equal(seen.latents, views.latents[[5, 1, 3]])
    assert not seen.mask[0].any() and not seen.mask_latents[0].any()
    assert torch.equal(seen.mask[1:], views.masks[[1, 3]])
    assert torch.equal(seen.mask_latents[1:], views.mask_latents[[1, 3]])


def test_more_views_than_are_encoded_together_keep_their_places(base):
    samples = [blob_sample(number) for number in range(5)]
    many = encode_views(base, samples, [good_sample(0), good_sample(1)], BOOK, BACKEND, 4, seed=0)
    few = encode_views(base, samples[4:], [], BOOK, BACKEND, 4, seed=0)
    assert (len(many), many.defects, len(many.names)) == (28, 20, 28)
    assert torch.equal(many.masks[16:], few.masks)
    torch.testing.assert_close(many.mask_latents[16:], few.mask_latents)
    torch.testing.assert_close(many.latents[16:20], few.latents)


def test_defects_and_names_are_needed(base):
    with pytest.raises(DataError, match="no defect sample"):
        encode_views(base, [], [good_sample(0)], BOOK, BACKEND, 1, seed=0)
    with pytest.raises(DataError, match=r"prompts\.kind to disentangled"):
        encode_views(base, [blob_sample(0)], [], PROMPTS, BACKEND, 1, seed=0)
