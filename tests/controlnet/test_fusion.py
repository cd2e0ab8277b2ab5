import numpy as np
import pytest
import torch
from settings import settings

from pipeline_tasks.controlnet.fusion import fuse_features, masked_features, with_features
from pipeline_tasks.diffusion.blending import fuse_background


def sff(**changes):
    return settings(generate={"controlnet": {"sff": changes}}).generate.controlnet.sff


def drawn(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, np.float32))


def block(seed=0):
    """Latents [3, 4, 6, 6] and masks [3, 1, 6, 6] of different areas."""
    masks = torch.zeros(3, 1, 6, 6)
    masks[0, 0, 1:4, 1:4] = masks[1, 0, 2:6, 0:2] = masks[2, 0, 0, 2:5] = 1
    return drawn(3, 4, 6, 6, seed=seed), masks


def features_of(latents, masks):
    return [masked_features(*one) for one in zip(latents, masks, strict=True)]


def naive_fusion(latents, masks, sample, own_weight):
    """Eq. 9 with rate 1, cell by cell."""
    result = latents[sample].clone()
    others = [other for other in range(len(latents)) if other != sample]
    for y, x in masks[sample, 0].nonzero().tolist():
        own = latents[sample, :, y, x]
        result[:, y, x] = own_weight * own
        for other in others:
            candidates = [latents[other, :, b, a] for b, a in masks[other, 0].nonzero().tolist()]
            best = max(candidates, key=lambda candidate: float(own @ candidate))
            result[:, y, x] += (1 - own_weight) / len(others) * best
    return result


@pytest.mark.parametrize("sample", range(3))
def test_fusion_equals_a_naive_loop(sample):
    latents, masks = block()
    features = features_of(latents, masks)
    others = [features[other] for other in range(3) if other != sample]
    fused = fuse_features(features[sample], others, sff(rate=1.0, own_weight=0.7), seed=0)
    result = with_features(latents[sample], masks[sample], fused)
    assert torch.allclose(result, naive_fusion(latents, masks, sample, 0.7), atol=1e-6)


def test_a_share_of_the_masked_cells_is_fused_by_seed_and_nothing_else():
    latents, masks = block()
    own, *others = features_of(latents, masks)
    fused = [fuse_features(own, others, sff(rate=0.5), seed) for seed in (1, 1, 2)]
    changed = [(one != own).any(dim=1) for one in fused]
    assert torch.equal(fused[0], fused[1]) and not torch.equal(changed[0], changed[2])
    assert [int(one.sum()) for one in changed] == [round(0.5 * 9)] * 3
    result = with_features(latents[0], masks[0], fused[0])
    assert torch.equal(result[:, masks[0, 0] == 0], latents[0][:, masks[0, 0] == 0])


def test_the_weights_sum_to_one():
    same = torch.full((5, 4), 1.5)
    assert torch.allclose(fuse_features(same, [same, same[:2], same], sff(rate=1.0), seed=0), same)


def test_references_equal_to_the_sample_leave_it_as_it_is():
    own = torch.nn.functional.normalize(drawn(9, 4), dim=1)
    assert torch.allclose(fuse_features(own, [own, own.flip(0)], sff(rate=1.0), seed=0), own, atol=1e-6)


@pytest.mark.parametrize("references", [[], [torch.zeros(0, 4)]])
def test_without_references_nothing_is_fused(references):
    own = drawn(9, 4)
    assert torch.equal(fuse_features(own, references, sff(rate=1.0), seed=0), own)


def test_an_empty_mask_has_nothing_to_fuse():
    assert fuse_features(torch.zeros(0, 4), [drawn(3, 4)], sff(rate=1.0), seed=0).shape == (0, 4)


def test_features_return_to_their_cells():
    latents, masks = block()
    features = masked_features(latents[1], masks[1])
    assert torch.equal(features[2], latents[1][:, 3, 0])
    assert torch.equal(with_features(torch.zeros(4, 6, 6), masks[1], features), latents[1] * masks[1])


def test_the_background_stays_equal():
    latents, masks = block()
    normal = drawn(3, 4, 6, 6, seed=9)
    fused = fuse_background(latents, normal, masks)
    inside = masks.expand_as(fused) == 1
    assert torch.equal(fused[inside], latents[inside]) and torch.equal(fused[~inside], normal[~inside])
