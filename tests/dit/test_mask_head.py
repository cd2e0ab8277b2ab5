import numpy as np
import pytest
import torch
from mask_model import SIZE_PX, drawn_mask
from tiny_dit import random_texts, tiny_tdia
from tiny_training import tiny_base
from torch.nn.functional import mse_loss

from pipeline_tasks.diffusion.views import mask_box, see_mask_as_picture
from pipeline_tasks.dit.initial import start_mask_head
from pipeline_tasks.dit.mask_head import MaskHead


def fit(weights, loss, steps, learning_rate):
    optimiser = torch.optim.Adam(weights, learning_rate)
    for _ in range(steps):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()


@pytest.fixture(scope="module")
def picture():
    """A mask as a picture [1, 3, S, S]."""
    mask = drawn_mask(np.random.default_rng(4))
    return torch.from_numpy(see_mask_as_picture(mask, mask_box(mask), SIZE_PX))[None]


@pytest.fixture(scope="module")
def base(tmp_path_factory, picture):
    """A base whose codec knows that mask, and the empty one."""
    base = tiny_base(tmp_path_factory.mktemp("base"))
    known = torch.cat([picture, torch.full_like(picture, -1)])
    vae = base.vae.requires_grad_(True)
    fit(vae.parameters(), lambda: mse_loss(vae.decode(vae.encode(known).latent_dist.mode()).sample, known), 110, 4e-3)
    vae.requires_grad_(False)
    return base


def iou(first, second):
    return float((first & second).sum() / (first | second).sum())


def test_with_the_attention_that_it_reads_it_learns_one_mask_at_every_time(base, picture):
    """Eq. 6, with gradients through the maps: the decoded, thresholded mask of unseen noise is the real one."""
    wanted, tdia, texts = base.encode(picture), tiny_tdia(), random_texts(4)
    head, rng = start_mask_head(tdia, base, seed=1), torch.Generator().manual_seed(0)
    weights = [*head.parameters(), *(weight for block in tdia.parts[1] for weight in block.attn2.parameters())]

    def features():
        noised, times = torch.randn(4, 4, 8, 8, generator=rng), torch.randint(1000, (4,), generator=rng)
        return head(tdia(noised, times, texts, mapped=slice(0, 4)).maps)

    def agreement():
        return [iou(one, picture[0, 0] > 0) for one in base.decode(features()).mean(dim=1) > 0]

    assert max(agreement()) < 0.8
    fit(weights, lambda: mse_loss(features(), wanted.expand(4, -1, -1, -1)), 80, 1e-3)
    assert min(agreement()) > 0.9


def test_small_shares_count_as_large_ones_and_none_breaks_it(tmp_path):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = MaskHead(map_channels=6, latent_channels=4, patch_size=2).eval()
    small, large = torch.full((1, 6, 4, 4), 0.01), torch.full((1, 6, 4, 4), 0.5)
    small[..., :2, :2], large[..., :2, :2] = 0.02, 0.51
    apart = [features[..., :2, :2].sub(features[..., -2:, -2:]).abs().mean() for features in (head(small), head(large))]
    assert apart[0] > 5 * apart[1]
    assert head(torch.tensor([0.0, 1.0]).repeat(1, 6, 4, 2)).isfinite().all()
    head.save_pretrained(tmp_path, safe_serialization=True)
    assert torch.equal(MaskHead.from_pretrained(tmp_path, use_safetensors=True)(small), head(small))
