from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import torch
from mask_model import SIZE_PX, drawn_mask, trained_mask_model
from tiny_base import save_tiny_pipeline

from pipeline_tasks.diffusion.base_model import BaseModel, open_pipeline
from pipeline_tasks.diffusion.mask_morph import LatentMorph, slerp
from pipeline_tasks.diffusion.views import mask_box, see_mask
from pipeline_tasks.masks.components import RealMask
from pipeline_tasks.masks.latent import interpolate_latent, likeness

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseModel]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield trained_mask_model(tmp_path_factory.mktemp("base"))
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def morph(trained: BaseModel) -> LatentMorph:
    return LatentMorph(trained, SIZE_PX, trained.embed(["mask"]), 20, torch.float32)


def disc(radius):
    return cv2.circle(np.zeros((80, 100), np.uint8), (50, 40), radius, 1, -1).astype(bool)


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def test_the_denoiser_is_trained(trained):
    """A denoiser of zeros would invert exactly too, and its loss would be 1."""
    rng = np.random.default_rng(7)
    seen = [see_mask(mask, mask_box(mask), SIZE_PX) for mask in (drawn_mask(rng) for _ in range(32))]
    images = torch.from_numpy(np.where(seen, np.float32(1), np.float32(-1)))[:, None].expand(-1, 3, -1, -1)
    latents, times = trained.encode(images), torch.from_numpy(rng.integers(100, 900, 32))
    noise = torch.from_numpy(rng.standard_normal(latents.shape).astype(np.float32))
    with torch.no_grad():
        noised = trained.scheduler.add_noise(latents, noise, times)
        predicted = trained.unet(noised, times, trained.embed(["mask"]).expand(32, -1, -1)).sample
    assert torch.nn.functional.mse_loss(predicted, noise) < 0.35


def test_inversion_then_sampling_recovers_masks(morph):
    rng = np.random.default_rng(99)
    found = []
    for mask in (drawn_mask(rng) for _ in range(8)):
        box = mask_box(mask)
        found.append(iou(morph(mask, disc(9), 0.0), see_mask(mask, box, box.height)))
    assert np.mean(found) >= 0.9
    assert min(found) >= 0.8


def test_inversion_ends_in_noise_of_unit_variance(morph):
    rng = np.random.default_rng(5)
    noises = torch.cat([morph._noise(drawn_mask(rng)) for _ in range(8)])
    assert 0.8 < noises.std() < 1.2
    assert abs(noises.mean()) < 0.25


def test_masks_between_two_discs_are_discs_between_them(morph):
    areas = [int(morph(disc(8), disc(16), alpha).sum()) for alpha in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert areas == sorted(areas)
    assert disc(8).sum() < areas[2] < disc(16).sum()
    middle = morph(disc(8), disc(16), 0.5)
    side = middle.shape[0]
    radius = np.sqrt(8 * 16)
    ideal = np.hypot(*np.meshgrid(*[np.arange(side) - side / 2 + 0.5] * 2)) <= radius
    assert iou(middle, ideal) > 0.8


def test_real_masks_of_any_size_are_kept_in_their_place(morph):
    rng = np.random.default_rng(11)
    masks = [RealMask(np.pad(drawn_mask(rng), (int(rng.integers(40)), int(rng.integers(40))))) for _ in range(6)]
    assert likeness(masks, morph) >= 0.9
    shape = interpolate_latent(masks[0], masks[1], 0.3, morph)
    assert shape.points.mean(axis=0) == pytest.approx((masks[0].centre.real, masks[0].centre.imag), abs=4)


def test_a_mask_between_is_drawn_at_a_side_between(morph):
    a, b = disc(6), disc(24)
    sides = [morph(a, b, alpha).shape[0] for alpha in (0.0, 0.5, 1.0)]
    assert sides == [mask_box(a).height, round(np.sqrt(mask_box(a).height * mask_box(b).height)), mask_box(b).height]


def test_what_was_drawn_before_does_not_matter(trained, morph):
    fresh = LatentMorph(trained, SIZE_PX, trained.embed(["mask"]), 20, torch.float32)
    assert (fresh(disc(9), disc(14), 0.4) == morph(disc(9), disc(14), 0.4)).all()


def test_each_mask_is_inverted_once(trained):
    calls = []
    hook = trained.unet.register_forward_hook(lambda *_: calls.append(1))
    morph = LatentMorph(trained, SIZE_PX, trained.embed(["mask"]), 5, torch.float32)
    for alpha in (0.2, 0.3, 0.4):
        morph(disc(9), disc(14), alpha)
    hook.remove()
    assert len(calls) == 2 * 5 + 3 * 5


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_every_kind_of_prediction_is_inverted(tmp_path, prediction):
    base = open_pipeline(save_tiny_pipeline(tmp_path, prediction_type=prediction), "random")
    morph = LatentMorph(base, 64, base.embed(["mask"]), 3, torch.float32)
    assert torch.isfinite(morph._noise(disc(9))).all()


def test_the_inpainting_sibling_and_half_precision_work(tmp_path):
    base = open_pipeline(save_tiny_pipeline(tmp_path, in_channels=9), "random")
    morph = LatentMorph(base, 64, base.embed(["mask"]), 2, torch.bfloat16)
    drawn = morph(disc(9), disc(12), 0.5)
    assert drawn.dtype == bool
    assert drawn.shape[0] == drawn.shape[1]


def vectors(count=3, size=64, seed=0):
    rng = np.random.default_rng(seed)
    return (torch.from_numpy(rng.standard_normal((count, 4, size // 4))) for _ in range(2))


def test_slerp_ends_at_its_ends():
    a, b = vectors()
    assert torch.allclose(slerp(a, b, 0.0), a)
    assert torch.allclose(slerp(a, b, 1.0), b)


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.8])
def test_slerp_keeps_the_norm_and_divides_the_angle(alpha):
    a, b = (v / v.flatten(1).norm(dim=1)[:, None, None] for v in vectors())
    between = slerp(a, b, alpha)
    assert torch.allclose(between.flatten(1).norm(dim=1), torch.ones(3, dtype=between.dtype))
    whole = torch.arccos((a * b).sum(dim=(1, 2)))
    part = torch.arccos((a * between).sum(dim=(1, 2)))
    assert torch.allclose(part, alpha * whole)


def test_slerp_is_a_rotation_in_the_plane_of_both():
    """In an orthonormal basis of the plane: cos(alpha w) along a and sin(alpha w) across it."""
    a, b = (v[0] / v[0].norm() for v in vectors(1))
    cosine = (a * b).sum()
    across = (b - cosine * a) / (b - cosine * a).norm()
    turned = 0.3 * torch.arccos(cosine)
    expected = torch.cos(turned) * a + torch.sin(turned) * across
    assert torch.allclose(slerp(a[None], b[None], 0.3)[0], expected)


def test_slerp_of_a_batch_is_that_of_each():
    a, b = vectors()
    whole = slerp(a, b, 0.4)
    for i in range(3):
        assert torch.allclose(whole[i : i + 1], slerp(a[i : i + 1], b[i : i + 1], 0.4))


def test_slerp_of_parallel_vectors_is_linear():
    a, _ = vectors()
    assert torch.allclose(slerp(a, a, 0.5), a)
    assert torch.allclose(slerp(a, 1.0001 * a, 0.5), 1.00005 * a)
    assert torch.isfinite(slerp(a, -a, 0.5)).all()
