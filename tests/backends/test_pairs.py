import hashlib
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from rows import MADE_BY, PROMPTS
from settings import KEEP_ALL

from pipeline_tasks.backends import pairs
from pipeline_tasks.backends.judgement import Failing, known_defects
from pipeline_tasks.backends.pairs import make_pairs
from pipeline_tasks.backends.paste import PasteBackend
from pipeline_tasks.backends.protocol import Rendered
from pipeline_tasks.errors import DataError, LeakageError
from pipeline_tasks.images.boxes import Box, bounding_box, crop
from pipeline_tasks.images.codec import decode_image, decode_mask, encode_image
from pipeline_tasks.images.composite import dilate
from pipeline_tasks.images.similarity import change_hash
from pipeline_tasks.params import Keep
from pipeline_tasks.prompts import PromptBook
from pipeline_tasks.provenance import sealed
from pipeline_tasks.schema import Pair, Rejected
from pipeline_tasks.seeds import derive_seed


def whole(request, pixels):
    """What becomes of the whole image of a request."""
    height, width = request.mask.shape
    return Rendered(Box(0, 0, height, width), np.float32(pixels), np.float32(request.normal))


class White:
    """A backend that paints the whole image white: everything the composite lets through shows."""

    name, digest = "white", "0" * 64

    def render(self, requests, first):
        return [whole(request, np.full(request.normal.shape, 255)) for request in requests]


class Painter:
    """A backend that paints a share of each mask, by pair index and attempt, and remembers what it was asked.

    The alignment of such a change is that share: see tests/images/test_honesty.py.
    """

    name, digest = "painter", "0" * 64

    def __init__(self, shares):
        self.shares, self.attempts, self.calls = shares, Counter(), []

    def render(self, requests, first):
        made = [whole(request, self._painted(request)) for request in requests]
        self.calls.append(([request.row.pair_index for request in requests], dict(first), made))
        return made

    def _painted(self, request):
        shares, attempt = self.shares[request.row.pair_index], self.attempts[request.row.pair_index]
        self.attempts[request.row.pair_index] += 1
        pixels, (ys, xs) = request.normal.copy(), np.nonzero(request.mask)
        painted = np.s_[: round(shares[attempt] * len(ys))]
        pixels[ys[painted], xs[painted]] = 255
        return pixels


class Mingling:
    """A backend whose pairs depend on all the others of their block."""

    name, digest = "mingling", "0" * 64

    def render(self, requests, first):
        level = sum(request.seed for request in requests) % 256
        return [whole(request, np.full(request.normal.shape, level)) for request in requests]


class Inventor:
    """A backend that makes image, normal image and mask itself, whatever it is asked for: a square of `side` px."""

    name, digest = "inventor", "0" * 64

    def __init__(self, side):
        self.side = side

    def render(self, requests, first):
        normal, mask = np.full((32, 32, 3), 90.4, np.float32), np.zeros((32, 32), bool)
        mask[8 : 8 + self.side, 8 : 8 + self.side] = True
        pixels = np.where(mask[..., None], np.float32(200), normal)
        return [
            Rendered(Box(0, 0, 32, 32), pixels, normal, mask=mask, product_scale=1.0, defect_scale=1.5, agreement=0.5)
            for _ in requests
        ]


@pytest.fixture
def make(params, defects, normals, known):
    """Makes the pairs of mask rows with a backend, under changed parameters."""

    def run(backend, rows, keep=(), **changes):
        changed = params.model_copy(update=changes | {"keep": params.keep.model_copy(update=dict(keep))})
        return list(make_pairs(backend, rows, defects, normals, PROMPTS, known, changed, MADE_BY))

    return run


def test_the_part_is_untouched_outside_the_dilated_mask(make, params, rows, normals):
    (pair,) = make(White(), rows([(3, 4)]))
    image, mask = decode_image(pair.image), decode_mask(pair.mask)
    normal = decode_image(normals["g/0.png"].image)
    outside = ~dilate(mask, params.dilation_px)
    assert (image[outside] == normal[outside]).all() and pair.change_outside_max == 0
    assert (image[mask] == 255).all()


def test_a_change_beyond_the_dilated_mask_is_measured(make, rows):
    (pair,) = make(White(), rows([(0, 0)]), feather_px=3, dilation_px=0)  # measured tighter than composited
    assert pair.change_outside_max > 0


def test_what_spilt_is_measured_before_the_composite_hides_it(make, params, rows, normals):
    (pair,) = make(White(), rows([(0, 0)]))
    change = 255.0 - decode_image(normals["g/0.png"].image).mean(axis=2)
    outside = ~dilate(decode_mask(pair.mask), params.dilation_px)
    assert pair.spill == pytest.approx(change[outside].sum() / change.sum(), rel=1e-5)
    (painted,) = make(Painter({0: [1.0]}), rows([(0, 0)]))
    assert (painted.spill, painted.alignment) == (0.0, 1.0)


def test_a_part_that_exceeds_the_image_lands_where_it_belongs(make, rows, normals):
    class Part(White):
        def render(self, requests, first):
            (request,) = requests
            box = bounding_box(request.mask, 9)
            unchanged = crop(request.normal, box).astype(np.float32)
            return [Rendered(box, np.full_like(unchanged, 255), unchanged)]

    (row,) = rows([(-30, -40)])
    (part,), (full,) = make(Part(), [row]), make(White(), [row])
    assert part.image == full.image and decode_mask(part.mask)[0, 0]


def test_provenance_is_complete_and_true(make, params, rows):
    backend = PasteBackend(params)
    (pair,) = make(backend, rows([(1, 2)]))
    assert pair.pair_id == "plate/scratch/000000" and pair.prompt == "scratch plate"
    assert (pair.backend, pair.backend_digest) == ("paste", backend.digest)
    assert (pair.seed, pair.mask_seed, pair.attempts) == (1000, 1000, 1)
    assert (pair.code_revision, pair.run_id) == (MADE_BY.code_revision, MADE_BY.run_id)
    assert (pair.reference, pair.appearance_code) == (None, [])
    assert pair.image_sha256 == hashlib.sha256(decode_image(pair.image).tobytes()).hexdigest()
    assert pair.mask_sha256 == hashlib.sha256(np.uint8(255) * decode_mask(pair.mask)).hexdigest()
    assert pair == sealed(replace(pair, row_sha256=""))
    assert pair.mask_area_px == decode_mask(pair.mask).sum()
    assert not pair.normal_derived


def test_the_prompt_is_that_of_the_first_parent_where_it_has_its_own(params, rows, defects, normals, known):
    book = PromptBook(PROMPTS.defects, {"plate": {"d/0.png": "thin scratch plate"}})
    (pair,) = make_pairs(White(), rows([(0, 0)]), defects, normals, book, known, params, MADE_BY)
    assert pair.prompt == "thin scratch plate"


def test_a_derived_normal_is_flagged(params, rows, defects, normals, known):
    derived = {k: replace(v, derived_from="d/0.png") for k, v in normals.items()}
    (pair,) = make_pairs(White(), rows([(0, 0)]), defects, derived, PROMPTS, known, params, MADE_BY)
    assert pair.normal_derived


def test_a_pair_that_is_made_whole_brings_its_own_normal_image_and_mask(make, rows):
    (pair,) = make(Inventor(8), rows([(0, 0)]))
    image, mask, normal = decode_image(pair.image), decode_mask(pair.mask), decode_image(pair.normal)
    assert (pair.width, pair.height, pair.mask_area_px) == (32, 32, 64) and mask[8:16, 8:16].all()
    assert (normal == 90).all() and (image[~mask & ~dilate(mask, 3)] == 90).all() and (image[mask] == 200).all()
    assert pair.normal_sha256 == hashlib.sha256(normal.tobytes()).hexdigest() and not pair.normal_derived
    assert pair.mask_sha256 == hashlib.sha256(np.uint8(255) * mask).hexdigest()
    assert (pair.normal_path, pair.parent_a, pair.parent_b, pair.alpha, pair.warp) == (None, None, None, None, [])
    assert (pair.mask_kind, pair.alignment, pair.spill) == ("attention", 1.0, 0.0)
    assert (pair.product_scale, pair.defect_scale, pair.agreement) == (1.0, 1.5, 0.5)


def test_an_empty_mask_is_no_pair_even_where_any_alignment_will_do(make, rows):
    (rejected,) = make(Inventor(0), rows([(0, 0)]), attempts=2)
    assert isinstance(rejected, Rejected) and (rejected.attempts, rejected.alignment) == (2, 0.0)
    assert (rejected.reason, rejected.change_inside, rejected.nearest_similarity) == (Failing.EMPTY, 0.0, 0.0)


def test_a_pair_is_scored_by_its_own_image(make, rows, normals):
    (pair,) = make(White(), rows([(6, 0)]))
    image, mask = (decode(png) for decode, png in ((decode_image, pair.image), (decode_mask, pair.mask)))
    normal = decode_image(normals["g/0.png"].image).astype(int)
    assert pair.change_inside == pytest.approx(np.abs(image - normal).max(axis=2)[mask].mean())
    assert pair.label_iou == pytest.approx(mask.mean(), abs=0.01), "the whole image changed"
    assert (pair.mask_x, pair.mask_y) == pytest.approx((51 / 96, 43 / 96))
    assert (pair.nearest_base, pair.nearest_similarity) == ("d/0.png", 0.0), "plain white is like nothing"
    assert pair.phash == change_hash(image, decode_image(normals["g/0.png"].image))


def test_a_pasted_defect_is_a_copy_which_is_made_again_and_then_rejected(params, rows, defects, normals, bar):
    grain = np.random.default_rng(1).integers(20, 90, (96, 96, 1), dtype=np.uint8)
    pixels = np.where(bar[..., None], grain, decode_image(defects["d/0.png"].image))
    samples = {"d/0.png": replace(defects["d/0.png"], image=encode_image(pixels))}

    def made(most):
        changed = params.model_copy(update={"attempts": 2, "keep": Keep(**KEEP_ALL | {"max_similarity": most})})
        shown, known = rows([(5, 7)]), known_defects(samples.values())
        return next(make_pairs(PasteBackend(params), shown, samples, normals, PROMPTS, known, changed, MADE_BY))

    rejected = made(0.98)
    assert isinstance(rejected, Rejected) and (rejected.reason, rejected.attempts) == (Failing.COPY, 2)
    assert rejected.nearest_similarity > 0.99
    pair = made(1.0)
    assert isinstance(pair, Pair) and (pair.nearest_base, pair.attempts) == ("d/0.png", 1)


def test_of_the_attempts_that_fail_the_one_that_comes_furthest_is_told(make, rows):
    class Fading(Painter):
        def _painted(self, request):
            strength = (0, 40, 1)[self.attempts[request.row.pair_index]]
            self.attempts[request.row.pair_index] += 1
            return request.normal + (strength * request.mask[..., None]).astype(np.uint8)

    keep = {"min_change_inside": 2.0, "min_label_iou": 1.1}
    (rejected,) = make(Fading({}), rows([(0, 0)]), keep=keep, attempts=3)
    assert (rejected.reason, rejected.change_inside, rejected.attempts) == (Failing.LABEL, 40.0, 3)


def test_pairs_do_not_depend_on_what_is_made_beside_them(make, params, rows):
    many = rows([(i % 7, i % 5) for i in range(params.block_pairs + 3)])
    backend = PasteBackend(params)
    assert make(backend, many) == [pair for row in many for pair in make(backend, [row])]


def test_blocks_are_of_consecutive_indices_whatever_is_missing(make, rows):
    painter = Painter({index: [1.0] for index in range(12)})
    present = [row for row in rows([(0, 0)] * 12) if row.pair_index not in (2, 3, 4, 11)]
    made = make(painter, present, block_pairs=4)
    assert [indices for indices, _, _ in painter.calls] == [[0, 1], [5, 6, 7], [8, 9, 10]]
    assert [pair.pair_index for pair in made] == [0, 1, 5, 6, 7, 8, 9, 10]


def test_blocks_of_large_images_are_split_from_their_beginning_on(make, rows, monkeypatch):
    monkeypatch.setattr(pairs, "BLOCK_PX", 2 * 96 * 96)
    painter = Painter({index: [1.0] for index in range(8)})
    make(painter, [row for row in rows([(0, 0)] * 8) if row.pair_index != 1], block_pairs=4)
    assert [indices for indices, _, _ in painter.calls] == [[0, 2], [3], [4, 5], [6, 7]]


@pytest.mark.parametrize("shard_pairs", [4, 8])
def test_other_shards_give_the_same_pairs(make, rows, shard_pairs):
    every = [row for row in rows([(0, 0)] * 14) if row.pair_index != 5]
    shards = [[row for row in every if row.pair_index // shard_pairs == shard] for shard in range(4)]
    together = make(Mingling(), every, block_pairs=4)
    assert [pair for shard in shards for pair in make(Mingling(), shard, block_pairs=4)] == together
    assert len({pair.image_sha256 for pair in together}) == 4, "one level a block"


def test_a_dishonest_pair_is_made_again_from_the_next_seed(make, rows):
    painter = Painter({0: [1.0], 1: [0.1, 0.2, 0.6]})
    sound, mended = make(painter, rows([(0, 0), (2, 2)]), keep={"min_alignment": 0.5}, attempts=5)
    assert (sound.attempts, sound.seed, sound.alignment) == (1, 1000, 1.0)
    assert (mended.attempts, mended.mask_seed, mended.seed) == (3, 1001, derive_seed(1001, "attempt", 2))
    assert mended.alignment == pytest.approx(0.6)
    assert [indices for indices, _, _ in painter.calls] == [[0, 1], [1], [1]]


def test_later_attempts_are_shown_the_first_ones_of_the_whole_block(make, rows):
    painter = Painter({0: [0.1, 0.2, 0.9], 1: [1.0], 2: [0.3, 0.9]})
    make(painter, rows([(0, 0)] * 3), keep={"min_alignment": 0.5}, block_pairs=4)
    (_, nothing, (zero, one, two)), (_, second, _), (_, third, _) = painter.calls
    assert nothing == {}
    for shown in (second, third):
        assert {index: id(rendered) for index, rendered in shown.items()} == {0: id(zero), 1: id(one), 2: id(two)}


def test_every_block_begins_anew(make, rows):
    painter = Painter({0: [0.1, 0.9], 1: [1.0], 2: [1.0]})
    make(painter, rows([(0, 0)] * 3), keep={"min_alignment": 0.5}, block_pairs=2)
    assert [(indices, set(first)) for indices, first, _ in painter.calls] == [
        ([0, 1], set()),
        ([0], {0, 1}),
        ([2], set()),
    ]


def test_attempts_seeds_and_the_best_try_of_a_rejected_pair_are_counted(make, rows):
    painter = Painter({0: [0.3, 0.4, 0.2], 1: [1.0]})
    rejected, pair = make(painter, rows([(0, 0), (1, 1)]), keep={"min_alignment": 0.5}, attempts=3)
    assert isinstance(rejected, Rejected) and (rejected.pair_index, rejected.attempts) == (0, 3)
    assert (rejected.reason, rejected.alignment) == (Failing.LABEL, pytest.approx(0.4))
    assert rejected.label_iou == pytest.approx(0.4, abs=0.01), "all of the change lies in 0.4 of the mask"
    assert isinstance(pair, Pair) and pair.attempts == 1
    assert painter.attempts == {0: 3, 1: 1}


def test_no_pair_is_rejected_where_any_will_do(make, rows):
    (pair,) = make(Painter({0: [0.0]}), rows([(0, 0)]), keep={"min_alignment": 0.0})
    assert (pair.alignment, pair.attempts) == (0.0, 1)


def test_a_missing_sample_and_a_test_sample_stop_the_run_by_name(params, rows, defects, normals, known):
    with pytest.raises(DataError, match=r"pair plate/scratch/0 .*'g/0.png'"):
        list(make_pairs(White(), rows([(0, 0)]), defects, {}, PROMPTS, known, params, MADE_BY))
    leaked = {k: replace(v, split="test") for k, v in defects.items()}
    with pytest.raises(LeakageError, match=r"generate, pair plate/scratch/0: 'plate/d/0\.png' is a test sample"):
        list(make_pairs(White(), rows([(0, 0)]), leaked, normals, PROMPTS, known, params, MADE_BY))


def test_a_defect_without_a_prompt_stops_the_run_by_name(params, rows, defects, normals, known):
    empty = PromptBook({"plate": {}}, {})
    with pytest.raises(DataError, match="no prompt for 'scratch' on 'plate'; re-run the prompts stage"):
        list(make_pairs(White(), rows([(0, 0)]), defects, normals, empty, known, params, MADE_BY))
