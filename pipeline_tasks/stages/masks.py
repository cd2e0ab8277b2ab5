"""Stage masks: new masks of one defect from the real ones, placed on normal images (METHODS section 2)."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from pipeline_tasks.errors import DataError
from pipeline_tasks.images.codec import Mask, decode_image, decode_mask, encode_mask
from pipeline_tasks.images.foreground import foreground
from pipeline_tasks.masks.hybrid import Choice, choose
from pipeline_tasks.masks.interpolation import interpolate
from pipeline_tasks.masks.latent import LEAST_LIKENESS, Morph, interpolate_latent, likeness
from pipeline_tasks.masks.parents import Descent, Interpolate, Parent, one_parent, read_parents, two_parents
from pipeline_tasks.masks.perlin import place_noise
from pipeline_tasks.masks.placement import Placement, place
from pipeline_tasks.masks.shape import Reason, Refusal
from pipeline_tasks.params import Masks
from pipeline_tasks.schema import MaskRow, Sample
from pipeline_tasks.seeds import derive_seed
from pipeline_tasks.splits.guard import of_base

TRIES = 3
"""Pair indices tried for each mask that is wanted, before a defect is given up as it is."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A pair that none of its attempts could make, with the reason that refused most of them."""

    pair_index: int
    reason: Reason


def run(
    params: Masks,
    seed: int,
    product: str,
    defect: str,
    source: str,
    samples: Iterable[Sample],
    normals: Iterable[Sample],
    load_morph: Callable[[], Morph] | None = None,
) -> Iterator[MaskRow | Refused]:
    """Yield pair after pair of `defect`: a mask made from those of its base `samples`, placed on one of `normals`.

    It ends at params.pairs_per_defect masks and `reserve` more, or where TRIES times as many indices came to no more.

    `samples` are of the product `source`. Where that is another one (zero-shot, DefectDiffu section 3.6), the places
    seen there mean nothing here: masks go anywhere on the object, and those too large for it are scaled down.
    A pair depends on the run's `seed` and its index alone. Without real masks there are no pairs.
    Samples are read once, one at a time, and only their masks kept. `load_morph` loads the trained latent model, where
    there is one; it is called only if masks are made in latent space.
    Raises, at once, DataError if there is no normal image, LeakageError for a sample outside the base split, and
    ConfigError if latent masks are asked for without a latent model.
    """
    parents = read_parents(of_base(samples, "masks"))
    hosts = [_read_host(s) for s in of_base(normals, "masks")]
    if not hosts:
        raise DataError(
            f"{product}: no normal image to place '{defect}' on; add images to its 'good' folder and run ingest again"
        )
    if not parents:
        return iter(())
    sources = _Sources(product, defect, source, parents, hosts, params, *_choose(params, parents, load_morph))
    return _make_pairs(sources, seed)


def reserve(params: Masks) -> int:
    """Return how many masks are made beyond those asked for, to take the places of pairs that fail."""
    return math.ceil(params.reserve_fraction * params.pairs_per_defect)


def _choose(
    params: Masks, parents: Sequence[Parent], load_morph: Callable[[], Morph] | None
) -> tuple[Choice, Interpolate]:
    """Return the kind of masks and how to interpolate; hybrid takes no model that does not keep the real ones."""
    masks = [parent.real for parent in parents]
    choice = choose(params, masks, latent=load_morph is not None)
    if choice.kind != "latent" or load_morph is None or len(masks) == 1:
        return choice, interpolate
    morph = load_morph()
    if params.kind == "hybrid" and (kept := likeness(masks, morph)) < LEAST_LIKENESS:
        reason = f"the latent model redraws real masks with an IoU of {kept:.2f} < {LEAST_LIKENESS:.2f}"
        return Choice("image", reason), interpolate
    return choice, partial(interpolate_latent, morph=morph)


@dataclass(frozen=True, slots=True)
class _Host:
    """A normal image by its path and digest, with the object on it as a PNG mask: thousands fit in memory."""

    path: str
    sha256: str
    foreground: bytes


def _read_host(normal: Sample) -> _Host:
    return _Host(normal.source_path, normal.sha256, encode_mask(foreground(decode_image(normal.image))))


@dataclass(frozen=True, slots=True)
class _Sources:
    product: str
    defect: str
    origin: str
    parents: Sequence[Parent]
    hosts: Sequence[_Host]
    params: Masks
    choice: Choice
    between: Interpolate

    @property
    def foreign(self) -> bool:
        """Whether the real masks are another product's."""
        return self.origin != self.product


def _make_pairs(sources: _Sources, seed: int) -> Iterator[MaskRow | Refused]:
    wanted, made = sources.params.pairs_per_defect + reserve(sources.params), 0
    for index in range(TRIES * wanted):
        pair = _make_pair(index, derive_seed(seed, sources.product, sources.defect, index), sources)
        yield pair
        made += isinstance(pair, MaskRow)
        if made == wanted:
            return


def _make_pair(index: int, seed: int, sources: _Sources) -> MaskRow | Refused:
    """Choose a shape, then normal images and places for it until one is accepted."""
    params, rng = sources.params, np.random.default_rng(seed)
    choice, descent, reasons = _choose_for_pair(sources, rng), None, Counter[Reason]()
    for attempt in range(1, params.attempts + 1):
        try:
            descent = descent or _descend(choice, sources, rng)
            host = sources.hosts[int(rng.integers(len(sources.hosts)))]
            placed = _put(choice, descent, decode_mask(host.foreground), sources, rng)
        except Refusal as refusal:
            reasons[refusal.reason] += 1
        else:
            return _row(index, seed, sources, choice, host, descent, placed, attempt)
    return Refused(index, reasons.most_common(1)[0][0])


def _choose_for_pair(sources: _Sources, rng: np.random.Generator) -> Choice:
    """Return the defect's choice, or a transformed mask where interpolation is not drawn or not possible."""
    interpolated = rng.random() < sources.params.interpolated_fraction
    if sources.choice.kind == "perlin":
        return sources.choice
    if len(sources.parents) == 1:
        return Choice("transformed", "one real mask only")
    return sources.choice if interpolated else Choice("transformed", "share left by masks.interpolated_fraction")


def _descend(choice: Choice, sources: _Sources, rng: np.random.Generator) -> Descent:
    if choice.kind in ("image", "latent"):
        return two_parents(sources.parents, sources.between, rng)
    return one_parent(sources.parents, rng)


def _put(choice: Choice, descent: Descent, on: Mask, sources: _Sources, rng: np.random.Generator) -> Placement:
    if choice.kind == "perlin":
        return place_noise(descent.shape, on, sources.params.perlin, rng)
    return place(descent.shape, on, [p.seen for p in sources.parents], sources.params, rng, sources.foreign)


def _row(
    index: int,
    seed: int,
    sources: _Sources,
    choice: Choice,
    host: _Host,
    descent: Descent,
    placed: Placement,
    attempts: int,
) -> MaskRow:
    return MaskRow(
        pair_index=index,
        product=sources.product,
        defect=sources.defect,
        source=sources.origin,
        seed=seed,
        normal_path=host.path,
        normal_sha256=host.sha256,
        kind=choice.kind,
        kind_reason=choice.reason,
        parent_a=descent.a.path,
        parent_b=descent.b.path,
        alpha=descent.alpha,
        warp=placed.warp.ravel().tolist(),
        placement=1.0 if sources.foreign or choice.kind == "perlin" else sources.params.placement_spread,
        attempts=attempts,
        mask_area_px=int(placed.mask.sum()),
        mask=encode_mask(placed.mask),
    )
