from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from rows import MADE_BY, PROMPTS, mask_row, sample
from settings import KEEP_ALL, settings
from tiny_base import save_tiny_pipeline

from pipeline_tasks.backends.controlnet import ControlNetBackend
from pipeline_tasks.backends.judgement import known_defects
from pipeline_tasks.backends.pairs import make_pairs
from pipeline_tasks.backends.protocol import RealDefect, Request
from pipeline_tasks.controlnet.generator import Generator
from pipeline_tasks.controlnet.network import make_control
from pipeline_tasks.diffusion.base_model import open_pipeline
from pipeline_tasks.diffusion.weights import CARD, describe
from pipeline_tasks.errors import ModelError
from pipeline_tasks.images.codec import decode_image
from pipeline_tasks.params import Params
from pipeline_tasks.schema import GOOD
from pipeline_tasks.storage import write_json

SIZE = 96


def params(sampling=None, **generate):
    small = {"steps": 3, "sae": {"rotations": 8}}
    changes = {"batch_size": 4, "block_pairs": 4, "shard_pairs": 4, "keep": KEEP_ALL}
    return settings(generate=changes | generate | {"controlnet": merged(small, sampling or {})})


def merged(values, changes):
    inner = {key: values[key] | change for key, change in changes.items() if isinstance(change, dict) and key in values}
    return values | changes | inner


def made(root, in_channels):
    """Make what the pretrain and train stages leave: a random base, and a ControlNet that is not silent."""
    pretrained = save_tiny_pipeline(root / "pretrained", in_channels=in_channels)
    described = describe(pretrained)
    write_json(pretrained / CARD, {"source": "scratch", "revision": None} | described)
    base = open_pipeline(pretrained, described["digest"])
    control = make_control(base, seed=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for layer in [*control.controlnet_down_blocks, control.controlnet_mid_block]:
            torch.nn.init.normal_(layer.weight, std=0.1)
    Generator(base, control, resolution_px=64, view="window").save(root / "model")
    return root / "model", pretrained


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return made(tmp_path_factory.mktemp("controlnet"), in_channels=4)


@pytest.fixture(scope="module")
def backend(folders):
    """Loads the backend once for each set of parameters."""

    @cache
    def load(chosen):
        return ControlNetBackend.load(*folders, Params.model_validate_json(chosen))

    return lambda sampling=None, **generate: load(params(sampling, **generate).model_dump_json(by_alias=True))


def grainy(level, seed=0):
    noise = np.random.default_rng(seed).normal(0, 6, (SIZE, SIZE, 1))
    return np.clip(level + noise, 0, 255).repeat(3, axis=2).astype(np.uint8)


def bar(y=40, x=30, height=8, width=24):
    mask = np.zeros((SIZE, SIZE), bool)
    mask[y : y + height, x : x + width] = True
    return mask


REAL = RealDefect(np.where(bar()[..., None], np.uint8(40), grainy(150)), bar())


def asked(index=0, prompt="scratch plate", **place):
    mask = bar(**place)
    return Request(mask_row(index, mask), grainy(110, seed=5), mask, prompt, REAL, REAL, seed=1000 + index)


def block():
    """Pairs of different prompts, places and shapes."""
    return [asked(0), asked(1, "pit", y=10, x=60, width=10), asked(2, "a stain", height=30), asked(3, y=80, x=2)]


def largest_difference(one, other):
    assert one.box == other.box
    return float(np.abs(one.pixels - other.pixels).max())


def test_a_block_gives_each_request_its_box_pixels_and_features(backend):
    requests = block()
    rendered = backend().render(requests, {})
    for request, one in zip(requests, rendered, strict=True):
        shape = (one.box.height, one.box.width, 3)
        assert one.pixels.shape == one.unchanged.shape == shape and one.pixels.dtype == np.float32
        assert np.isfinite(one.pixels).all() and not np.allclose(one.pixels, one.unchanged, atol=1)
        assert (one.pixels == one.pixels[..., :1]).all()  # grey stays grey
        assert one.latents.shape[1] == 4 and len(one.latents) >= request.mask.sum() / 16
    assert len({one.pixels.tobytes() for one in rendered}) == len(requests)


def test_unchanged_is_what_the_codec_makes_of_the_normal_image(backend, folders):
    from pipeline_tasks.diffusion.views import put_back, see_pixels

    request = asked()
    (one,) = backend().render([request], {})
    base = open_pipeline(folders[1], "")
    seen = torch.from_numpy(see_pixels(request.normal, one.box, 64))[None]
    decoded = put_back(base.decode(base.encode(seen))[0].numpy(), one.box)
    assert np.allclose(one.unchanged, decoded.mean(axis=2, keepdims=True), atol=0.5)


def test_a_pair_depends_neither_on_its_batch_nor_on_the_order(backend):
    """Without SFF, whose references are the block. In a batch of the same size a pair is the same to the bit, wherever
    in it it stands; kernels for another size may round differently.
    """
    without = {"sff": {"enabled": False}}
    requests = block()
    together = backend(without).render(requests, {})
    backwards = backend(without).render(requests[::-1], {})[::-1]
    alone = [backend(without, batch_size=1).render([request], {})[0] for request in requests]
    for one, same, other in zip(together, backwards, alone, strict=True):
        assert largest_difference(one, other) < 0.01
        assert largest_difference(one, same) == 0


def test_with_sff_a_pair_depends_on_its_block_and_not_on_batch_size_or_order(backend):
    requests = block()
    together = backend().render(requests, {})
    split = backend(batch_size=3).render(requests[::-1], {})[::-1]
    fewer = backend().render(requests[:2], {})
    for one, same in zip(together, split, strict=True):
        assert largest_difference(one, same) < 0.01
    assert largest_difference(together[0], fewer[0]) > 1


def test_rendering_twice_gives_the_same_bits(backend, folders):
    generator = backend()
    first, again = (generator.render(block(), {}) for _ in range(2))
    fresh = ControlNetBackend.load(*folders, params()).render(block(), {})
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(first, again, strict=True))
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(first, fresh, strict=True))


def test_a_later_attempt_differs_and_fuses_with_the_blocks_first_ones(backend):
    generator, requests = backend({"sff": {"rate": 1.0, "own_weight": 0.0}}), block()
    first = dict(enumerate(generator.render(requests, {})))
    retry = replace(requests[1], seed=77)
    (again,) = generator.render([retry], first)
    (alone,) = generator.render([retry], {})
    assert again.fused_with == first[1].fused_with == tuple(index for index in first if index != 1)
    assert alone.fused_with == ()
    assert largest_difference(again, first[1]) > 1 and largest_difference(again, alone) > 1
    other = first | {1: replace(first[1], latents=first[1].latents + 9)}
    (blind,) = generator.render([retry], other)
    assert np.array_equal(blind.pixels, again.pixels)  # its own first attempt is no reference
    changed = first | {2: replace(first[2], latents=first[2].latents * 9)}
    assert largest_difference(generator.render([retry], changed)[0], again) > 1


@pytest.mark.parametrize(
    "change",
    [
        {"sae": {"enabled": False}},
        {"sff": {"enabled": False}},
        {"blend": "end"},
        {"guidance_scale": 3.0},
        {"eta": 1.0},
        {"control_scale": 0.0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_switch_changes_the_defect_and_not_the_background(backend, change):
    requests = block()[:2]
    usual, switched = (backend(c).render(requests, {}) for c in ({}, change))
    assert largest_difference(usual[0], switched[0]) > 0.01
    assert np.array_equal(usual[0].unchanged, switched[0].unchanged)
    corner = np.s_[:8, :8]  # far from the mask, beyond the codec's reach
    assert np.allclose(usual[0].pixels[corner], switched[0].pixels[corner], atol=25)


def rows_of(count):
    return [mask_row(index, bar(y=12 * index + 4)) for index in range(count)]


def pairs_of(generator, rows, chosen):
    normal = sample(GOOD, pixels=grainy(110, seed=5))
    defect = sample("pit", pixels=REAL.pixels, mask=REAL.mask)
    samples, normals, known = {defect.source_path: defect}, {normal.source_path: normal}, known_defects([defect])
    return list(make_pairs(generator, rows, samples, normals, PROMPTS, known, chosen.generate, MADE_BY))


def test_a_fused_pair_is_the_same_when_only_its_block_is_made(backend):
    rows, small = rows_of(6), {"block_pairs": 2}
    made = pairs_of(backend(**small), rows, params(**small))
    assert [pair.fused_with for pair in made] == [[1], [0], [3], [2], [5], [4]]
    assert pairs_of(backend(**small), rows[2:4], params(**small)) == made[2:4]


@pytest.mark.parametrize(("enabled", "reference"), [(True, "base/pit/000.png"), (False, None)])
def test_a_pair_names_the_real_defect_that_sae_compares_with(backend, enabled, reference):
    sampling = {"sae": {"enabled": enabled}}
    (pair,) = pairs_of(backend(sampling), rows_of(1), params(sampling))
    assert pair.reference == reference and pair.appearance_code == []


def test_the_finished_pair_equals_its_normal_image_outside_the_dilated_mask(backend):
    pairs = pairs_of(backend(), rows_of(3), params())
    assert [pair.pair_index for pair in pairs] == [0, 1, 2]
    assert all(pair.change_outside_max == 0 and pair.change_inside > 0 for pair in pairs)
    assert all(decode_image(pair.image).shape == (SIZE, SIZE, 3) for pair in pairs)


def test_a_view_may_exceed_a_small_image(backend):
    mask = bar()[30:70, 20:60]
    request = Request(mask_row(0, mask), grainy(110)[:40, :40], mask, "p", REAL, REAL, seed=3)
    (one,) = backend().render([request], {})
    assert (one.box.height, one.box.width) == (64, 64) and one.box.y < 0
    assert np.isfinite(one.pixels).all()


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({"sampling": {"steps": 4}}, True),
        ({"sampling": {"sae": {"enabled": False}}}, True),
        ({"block_pairs": 2}, True),
        ({"precision": "bfloat16"}, True),
        ({"dilation_px": 5}, True),
        ({"batch_size": 2}, False),
        ({"sampling": {"compile": True}}, False),
    ],
)
def test_the_digest_tells_apart_what_changes_the_pairs(backend, change, counts):
    assert (backend().digest != backend(**change).digest) == counts


def test_a_model_of_another_base_is_refused(folders, tmp_path):
    model, _ = folders
    other = save_tiny_pipeline(tmp_path, seed=1)
    write_json(other / CARD, {"source": "scratch", "revision": None} | describe(other))
    with pytest.raises(ModelError, match="trained on the base model"):
        ControlNetBackend.load(model, other, params())


def test_an_inpainting_base_renders_too(tmp_path):
    rendered = ControlNetBackend.load(*made(tmp_path, in_channels=9), params()).render(block(), {})
    for one in rendered:
        assert np.isfinite(one.pixels).all() and not np.allclose(one.pixels, one.unchanged, atol=1)


def test_half_precision_stays_near(backend):
    without = {"sae": {"enabled": False}, "sff": {"enabled": False}}
    whole, half = (backend(without, precision=p).render(block()[:2], {}) for p in ("float32", "bfloat16"))
    assert 0 < np.abs(whole[0].pixels - half[0].pixels).mean() < 8
