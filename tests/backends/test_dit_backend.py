from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from rows import MADE_BY, mask_row, sample
from settings import KEEP_ALL, settings
from tiny_base import save_tiny_pipeline
from tiny_dit import tiny_tdia

from pipeline_tasks.backends import dit_labels
from pipeline_tasks.backends.dit import DitBackend
from pipeline_tasks.backends.dit_labels import generated_pair
from pipeline_tasks.backends.judgement import known_defects
from pipeline_tasks.backends.pairs import make_pairs
from pipeline_tasks.backends.protocol import Graded, RealDefect, Request
from pipeline_tasks.diffusion.base_model import open_pipeline
from pipeline_tasks.diffusion.views import put_back, see_pixels, view_box
from pipeline_tasks.diffusion.weights import CARD, describe
from pipeline_tasks.dit.generator import Generator
from pipeline_tasks.dit.mask_head import MaskHead
from pipeline_tasks.errors import DataError, ModelError
from pipeline_tasks.images.boxes import Box, crop, inside
from pipeline_tasks.images.codec import decode_image, decode_mask
from pipeline_tasks.images.composite import dilate
from pipeline_tasks.params import Params
from pipeline_tasks.prompts import ProductNames, PromptBook
from pipeline_tasks.schema import GOOD, Pair
from pipeline_tasks.storage import write_json

SIZE, RESOLUTION = 48, 32
WORDS = {"plate": ProductNames("plate", {"pit": "pit", GOOD: GOOD})}
BOOK = PromptBook({"plate": {"pit": "A photo of pit plate", GOOD: "A photo of good plate"}}, {}, WORDS)


def params(sampling=None, **generate):
    small = {"mode": "given", "steps": 3, "eta": 0.0, "blend": "each_step", "strengths": [0.0, 1.0, 4.0]}
    small |= {"product_scale": 1.0, "defect_scale_min": 1.0, "defect_scale_max": 3.0, "mask_share": 0.5}
    changes = {"batch_size": 4, "block_pairs": 4, "shard_pairs": 4, "keep": KEEP_ALL}
    return settings(generate=changes | generate | {"dit": small | (sampling or {})})


def made(root, **own):
    """Make what the pretrain and train stages leave: a random base, and a generator that is not silent."""
    pretrained = save_tiny_pipeline(root / "pretrained")
    described = describe(pretrained)
    write_json(pretrained / CARD, {"source": "scratch", "revision": None} | described)
    base = open_pipeline(pretrained, described["digest"])
    tdia = tiny_tdia()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        head = MaskHead(tdia.config.defect_layers * tdia.config.num_attention_heads, 4, 2)
    how = {"resolution_px": RESOLUTION, "view": "window", "one_prompt": False} | own
    Generator(base, tdia, head, base.scheduler, **how).save(root / "model")
    return root / "model", pretrained


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return made(tmp_path_factory.mktemp("dit"))


@pytest.fixture(scope="module")
def backend(folders):
    """Loads the backend once for each set of parameters."""

    @cache
    def load(chosen):
        return DitBackend.load(*folders, Params.model_validate_json(chosen))

    return lambda sampling=None, **generate: load(params(sampling, **generate).model_dump_json(by_alias=True))


def grainy(level, seed=0):
    noise = np.random.default_rng(seed).normal(0, 6, (SIZE, SIZE, 1))
    return np.clip(level + noise, 0, 255).repeat(3, axis=2).astype(np.uint8)


def bar(y=20, x=16, height=6, width=14):
    mask = np.zeros((SIZE, SIZE), bool)
    mask[y : y + height, x : x + width] = True
    return mask


REAL = RealDefect(np.where(bar()[..., None], np.uint8(40), grainy(150)), bar())


def asked(index=0, names=("plate", "pit"), **place):
    mask = bar(**place)
    prompt = f"A photo of {names[1]} {names[0]}"
    return Request(mask_row(index, mask), grainy(110, seed=5), mask, prompt, REAL, REAL, seed=1000 + index, names=names)


def block():
    """Pairs of different names, places and shapes."""
    others = asked(1, ("tile", "crack"), y=4, x=30, width=8), asked(2, ("plate", "stain"), height=20)
    return [asked(0), *others, asked(3, y=40, x=2)]


def largest_difference(one, other):
    assert one.box == other.box
    return float(np.abs(one.pixels - other.pixels).max())


def rows_and_samples(count):
    normal = sample(GOOD, pixels=grainy(110, seed=5))
    defect = sample("pit", pixels=REAL.pixels, mask=REAL.mask)
    rows = [mask_row(index, bar(y=12 * index + 4)) for index in range(count)]
    return rows, {defect.source_path: defect}, {normal.source_path: normal}, BOOK, known_defects([defect])


def test_given_requests_get_their_box_pixels_and_scales(backend):
    generator, requests = backend(), block()
    assert isinstance(generator, Graded) and generator.name == "dit"
    rendered = generator.render(requests, {})
    for one in rendered:
        shape = (one.box.height, one.box.width, 3)
        assert one.pixels.shape == one.unchanged.shape == shape and one.pixels.dtype == np.float32
        assert np.isfinite(one.pixels).all() and not np.allclose(one.pixels, one.unchanged, atol=1)
        assert (one.pixels == one.pixels[..., :1]).all()  # grey stays grey
        assert one.mask is None and one.agreement is None and one.fused_with == () and one.latents is None
        assert one.product_scale == 1 and 1 <= one.defect_scale <= 3
    assert len({one.defect_scale for one in rendered}) == len({one.pixels.tobytes() for one in rendered}) == 4


def test_unchanged_is_what_the_codec_makes_of_the_given_normal_image(backend, folders):
    request = asked()
    (one,) = backend().render([request], {})
    base = open_pipeline(folders[1], "")
    seen = torch.from_numpy(see_pixels(request.normal, one.box, RESOLUTION))[None]
    decoded = put_back(base.decode(base.encode(seen))[0].numpy(), one.box)
    assert np.allclose(one.unchanged, decoded.mean(axis=2, keepdims=True), atol=0.5)


def test_free_requests_get_image_normal_image_and_mask(backend, monkeypatch):
    monkeypatch.setattr(dit_labels, "AREA_SLACK", np.inf)
    rendered = backend({"mode": "free"}).render(block(), {})
    for one in rendered:
        assert one.box == Box(0, 0, RESOLUTION, RESOLUTION)
        assert one.mask.shape == one.pixels.shape[:2] == one.unchanged.shape[:2] and one.mask.dtype == bool
        assert 0 <= one.agreement <= 1 and one.product_scale == 1 and 1 <= one.defect_scale <= 3
        assert not np.allclose(one.pixels, one.unchanged, atol=1)
    assert any(one.mask.any() for one in rendered)


def test_free_pairs_do_not_depend_on_the_given_normal_image(backend):
    free, request = backend({"mode": "free"}), asked()
    (one,), (same,) = (free.render([r], {}) for r in (request, replace(request, normal=grainy(200, seed=9))))
    assert largest_difference(one, same) == 0 and np.array_equal(one.unchanged, same.unchanged)


def test_the_normal_of_a_free_pair_is_the_image_without_its_defect(backend):
    """The same noise with w_d = 0, whatever the defect is called."""
    free = backend({"mode": "free"})
    silent = backend({"mode": "free", "defect_scale_min": 0.0, "defect_scale_max": 0.0})
    (one,), (none,) = (generator.render([asked()], {}) for generator in (free, silent))
    (crack,) = free.render([asked(names=("plate", "crack"))], {})
    assert np.allclose(none.pixels, one.unchanged, atol=0.1) and not none.mask.any() and none.agreement == 0
    assert np.allclose(crack.unchanged, one.unchanged, atol=0.1)
    assert largest_difference(crack, one) > 1


def test_a_free_label_of_an_implausible_area_is_emptied(backend):
    free = backend({"mode": "free"})
    (sight,) = free._sights([asked()], [None])
    image = np.full((RESOLUTION, RESOLUTION, 3), 100, np.float32)
    attention = np.full((RESOLUTION, RESOLUTION), 10, np.float32)
    for side, kept in ((4, False), (8, True), (16, True), (20, False)):  # the parent's bar has 84 px
        patch = np.s_[2 : 2 + side, 2 : 2 + side]
        defect, attended = image.copy(), attention.copy()
        defect[patch], attended[patch] = 160, 240
        one = generated_pair(sight, dit_labels.Painting(defect, image, attended), dilation_px=2)
        assert one.agreement == 1 and one.mask.sum() == (side * side if kept else 0)


@pytest.mark.parametrize("mode", ["given", "free"])
def test_a_pair_depends_neither_on_its_batch_nor_on_the_order(backend, mode):
    """In a batch of the same size a pair is the same to the bit, wherever in it it stands; kernels for another size may
    round differently.
    """
    sampling, requests = {"mode": mode, "eta": 0.5}, block()
    together = backend(sampling).render(requests, {})
    backwards = backend(sampling).render(requests[::-1], {})[::-1]
    alone = [backend(sampling, batch_size=1).render([request], {})[0] for request in requests]
    for one, same, other in zip(together, backwards, alone, strict=True):
        assert largest_difference(one, other) < 0.01 and one.defect_scale == other.defect_scale
        assert largest_difference(one, same) == 0 and np.array_equal(one.unchanged, same.unchanged)


@pytest.mark.parametrize("mode", ["given", "free"])
def test_rendering_twice_gives_the_same_bits(backend, folders, mode):
    first, again = (backend({"mode": mode}).render(block(), {}) for _ in range(2))
    fresh = DitBackend.load(*folders, params({"mode": mode})).render(block(), {})
    for one, same, other in zip(first, again, fresh, strict=True):
        assert np.array_equal(one.pixels, same.pixels) and np.array_equal(one.pixels, other.pixels)
    (later,) = backend({"mode": mode}).render([replace(block()[0], seed=77)], dict(enumerate(first)))
    assert largest_difference(later, first[0]) > 1 and later.defect_scale != first[0].defect_scale


@pytest.mark.parametrize(
    "change",
    [{"blend": "end"}, {"eta": 1.0}, {"product_scale": 2.0}, {"defect_scale_min": 9.0, "defect_scale_max": 9.0}],
    ids=lambda change: next(iter(change)),
)
def test_every_switch_changes_the_defect_and_not_the_background(backend, change):
    usual, switched = (backend(c).render([asked()], {})[0] for c in ({}, change))
    assert largest_difference(usual, switched) > 0.01
    assert np.array_equal(usual.unchanged, switched.unchanged)


def test_a_finished_given_pair_equals_its_normal_image_outside_the_dilated_mask(backend):
    pairs = list(make_pairs(backend(), *rows_and_samples(3), params().generate, MADE_BY))
    assert [pair.pair_index for pair in pairs] == [0, 1, 2]
    for pair in pairs:
        assert pair.change_outside_max == 0 and pair.change_inside > 0 and pair.normal is None
        assert pair.product_scale == 1 and 1 <= pair.defect_scale <= 3 and pair.mask_kind == "transformed"
        assert decode_image(pair.image).shape == (SIZE, SIZE, 3)


def test_a_pair_is_the_same_when_only_its_block_is_made(backend):
    rows, *others = rows_and_samples(4)

    def made(some):
        return list(make_pairs(backend(block_pairs=2), some, *others, params(block_pairs=2).generate, MADE_BY))

    assert made(rows[2:]) == made(rows)[2:]


def test_a_finished_free_pair_has_an_attention_mask_and_its_own_normal_image(backend, monkeypatch):
    monkeypatch.setattr(dit_labels, "AREA_SLACK", np.inf)
    chosen = params({"mode": "free"})
    pairs = list(make_pairs(backend({"mode": "free"}), *rows_and_samples(4), chosen.generate, MADE_BY))
    kept = [pair for pair in pairs if isinstance(pair, Pair)]
    assert kept
    for pair in kept:
        assert pair.mask_kind == "attention" and pair.normal_path is None and 0 <= pair.agreement <= 1
        image, normal, mask = decode_image(pair.image), decode_image(pair.normal), decode_mask(pair.mask)
        assert image.shape == normal.shape == (RESOLUTION, RESOLUTION, 3) and pair.mask_area_px == mask.sum() > 0
        assert pair.change_outside_max == 0 and (image != normal)[mask].any()


@pytest.mark.parametrize("mode", ["given", "free"])
def test_trials_share_all_but_the_strength(backend, mode):
    requests = block()[:3]
    trials = backend({"mode": mode}).trials(requests)
    assert [(trial.pair_index, trial.defect_scale) for trial in trials] == [
        (index, strength) for index in range(3) for strength in (0.0, 1.0, 4.0)
    ]
    for number, trial in enumerate(trials):
        image, normal, mask = decode_image(trial.image), decode_image(trial.normal), decode_mask(trial.mask)
        attention = decode_image(trial.attention)
        assert trial.seed == requests[number // 3].seed and trial.source == "plate" and trial.product_scale == 1
        assert trial.normal == trials[number - number % 3].image
        assert image.shape == normal.shape == attention.shape == (RESOLUTION, RESOLUTION, 3)
        assert trial.mask_area_px == mask.sum() and (attention == attention[..., :1]).all()
        changed = np.abs(image.astype(float) - normal).mean(axis=2)
        assert (changed >= 5).sum() <= trial.changed_px <= (changed >= 3).sum()
        assert trial.changed_fraction == trial.changed_px / mask.size and 0 <= trial.agreement <= 1
        assert trial.changed_px or not mask.any()
    changed = [trial.changed_px for trial in trials]
    assert changed[::3] == [0, 0, 0]
    assert all(weak < strong for weak, strong in zip(changed[1::3], changed[2::3], strict=True))


def test_trials_on_a_given_image_show_what_a_pair_would(backend):
    request = asked()
    for trial in backend().trials([request]):
        far = ~inside(dilate(request.mask, 3), view_box(request.mask, RESOLUTION, "window"))
        host = crop(request.normal, view_box(request.mask, RESOLUTION, "window"))
        assert (decode_image(trial.image)[far] == host[far]).all() and not decode_mask(trial.mask)[far].any()


def test_trials_do_not_depend_on_the_batch(backend):
    together = backend({"mode": "free"}).trials(block()[:2])
    split = backend({"mode": "free"}, batch_size=1).trials(block()[:2])
    for one, other in zip(together, split, strict=True):
        assert abs(one.changed_px - other.changed_px) <= 2
        assert np.abs(decode_image(one.image).astype(int) - decode_image(other.image)).max() <= 1


def test_without_names_it_says_which_prompts_it_needs(backend):
    with pytest.raises(DataError, match=r"plate/pit/0: .* set prompts\.kind to disentangled"):
        backend().render([replace(asked(), names=None)], {})


def test_a_view_may_exceed_a_small_image(backend):
    mask = bar()[10:30, 10:30]
    request = replace(asked(), row=mask_row(0, mask), normal=grainy(110)[:20, :20], mask=mask)
    (one,) = backend().render([request], {})
    assert (one.box.height, one.box.width) == (RESOLUTION, RESOLUTION) and one.box.y < 0
    assert np.isfinite(one.pixels).all()


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({"sampling": {"steps": 4}}, True),
        ({"sampling": {"mode": "free"}}, True),
        ({"sampling": {"defect_scale_max": 5.0}}, True),
        ({"precision": "bfloat16"}, True),
        ({"dilation_px": 5}, True),
        ({"batch_size": 2}, False),
        ({"sampling": {"compile": True}}, False),
        ({"sampling": {"strengths": [0.0, 9.0], "trials": 9}}, False),
    ],
)
def test_the_digest_tells_apart_what_changes_the_pairs(backend, change, counts, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda network, **options: network)
    assert (backend().digest != backend(**change).digest) == counts


def test_a_compiled_network_gets_batches_of_one_size(backend, monkeypatch):
    seen = []
    monkeypatch.setattr(
        torch, "compile", lambda network, **options: lambda *a, **k: seen.append(len(a[0])) or network(*a, **k)
    )
    filled = backend({"compile": True, "mask_share": 0.4}).render([*block(), asked(4)], {})
    usual = backend({"mask_share": 0.4}).render([*block(), asked(4)], {})
    assert set(seen) == {8} and all(largest_difference(*one) < 0.01 for one in zip(filled, usual, strict=True))


def test_a_model_of_another_base_is_refused(folders, tmp_path):
    other = save_tiny_pipeline(tmp_path, seed=1)
    write_json(other / CARD, {"source": "scratch", "revision": None} | describe(other))
    with pytest.raises(ModelError, match="trained on the base model"):
        DitBackend.load(folders[0], other, params())


def test_with_one_prompt_and_on_whole_images_it_renders_too(tmp_path):
    folders = made(tmp_path, one_prompt=True, view="image")
    for mode in ("given", "free"):
        rendered = DitBackend.load(*folders, params({"mode": mode})).render(block(), {})
        assert all(one.box == Box(0, 0, SIZE, SIZE) and np.isfinite(one.pixels).all() for one in rendered)


def test_half_precision_stays_near(backend):
    whole, half = (backend(precision=p).render([asked()], {})[0] for p in ("float32", "bfloat16"))
    assert 0 < np.abs(whole.pixels - half.pixels).mean() < 8
