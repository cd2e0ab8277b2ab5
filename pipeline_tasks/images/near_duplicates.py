"""Shots of one and the same part: they must not be split between base and test (METHODS section 0).

In steps, so that thousands of images take minutes: a coarse fingerprint finds each image's likeliest partners; what
the less likely of them share with it, the look of the product in that pose, is taken out of its fine detail; and what
is left of two partners is compared, shifted until it fits. Two shots of one part stand out from all other pairs.
Many shots of one part take each other's look out; these are known by fitting each other in every place, in grain as
well as in edges, which parts photographed alike do not.

Not found: a copy that is mirrored, turned by 5 degrees or cropped by 5% a side (by 2, often); and where there are more
than 13 shots of one part, those of a pattern or of large areas without detail, those moved so far that they no longer
fit in every place, and any that are more than a third of the product's images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline_tasks.images.codec import Pixels

SIDE_PX = 128
"""Side of the thumbnails, in which details are compared."""
COARSE_PX = 64
DETAIL_PX = 3.0
SHIFT_PX = 12
"""Two shots may be framed differently by so much of a thumbnail."""
SAME_SHAPE = 0.1
"""Shots of one part differ in width / height by at most a tenth."""
PARTNERS = 32
"""Images that each one is compared with ..."""
OTHERS = 12
"""... all but so many of which are taken to show other parts."""
FITTING_STEPS = 3
SAME_VIEW = 0.5
"""Other parts less like an image than this, as a share of the likest one, are seen from elsewhere."""
ENOUGH = 6
"""Least number of other parts that tell what the product looks like."""
STAND_OUT = 0.27
"""How far two shots of one part rise above what other parts share, as a share of what is left to 1 ..."""
STAND_OUT_SHAPED = 0.3
"""... and so much further where the parts are all structure: what is left may be their pose."""
WINDOW_PX = 15
FITTING = 0.8
"""From this likeness of two whole images on, their windows are compared, too ..."""
PLACES = 0.05
"""... all but this share of them, which a defect may take."""
EVERYWHERE = 0.75
"""Windows of two shots of one part correlate by this; edges alone reach 0.7 where they are dense, 0.2 elsewhere ..."""
DISTANT = 6
"""... and by half of what so many images far from them leave to 1: of a print, all parts fit everywhere."""
REPEAT_PX = 4
"""An image like itself when moved by more than this is a pattern: it fits others by chance."""
MOST = 0.5
"""A group of more than this share of a product's images, and of LARGE at least, is no set of shots of one part."""
LARGE = 5
BLOCK = 512

Thumbnail = NDArray[np.uint8]
Floats = NDArray[np.float32]
Halves = NDArray[np.float16]
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Shots:
    """Groups of images that show one part each, two or more, by index; `alike`: groups too large to be that."""

    groups: list[list[int]]
    alike: list[list[int]]


@dataclass(frozen=True, slots=True)
class _Fit:
    """How well two details correlate, -1..1, where the second one fits best: moved by (right, down) px."""

    likeness: float
    right: int
    down: int


Fits = dict[Pair, _Fit]


def thumbnail(pixels: Pixels) -> Thumbnail:
    """Return what there is to compare of an image [H, W, 3]: grey, uint8 [128, 128]."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA), np.uint8)


def group_shots(thumbnails: Sequence[Thumbnail], sizes: Sequence[tuple[int, int]]) -> Shots:
    """Return which images are shots of one part, by single linkage; `sizes` are their (width, height) in px.

    Memory: about 130 KiB an image.
    """
    partners, distant = _partners(thumbnails, np.log([width / height for width, height in sizes]))
    details = [_fine(each) for each in thumbnails]
    fits = _fits(details, partners)
    own = [_own(details, fits, i, mine) for i, mine in enumerate(partners)]
    rest = _fits(own, partners)
    least = _least(_shared(fits, partners), _shared(rest, partners))
    same = [pair for pair, fit in rest.items() if fit.likeness > max(least[i] for i in pair)]
    return _groups(len(thumbnails), same + _fitting_everywhere(details, fits, distant))


def _partners(thumbnails: Sequence[Thumbnail], shapes: NDArray[np.float64]) -> tuple[list[list[int]], list[list[int]]]:
    """Return of each image the PARTNERS of its shape whose coarse detail is most like its own, and DISTANT ones.

    The latter from a third to half of the way to the least like: no part is thought to have more shots than that.
    """
    partners: list[list[int]] = []
    distant: list[list[int]] = []
    coarse = _coarse_details(thumbnails)
    for start in range(0, len(coarse), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(coarse)))
        alike = coarse[rows] @ coarse.T
        alike[np.abs(shapes[rows, None] - shapes) > SAME_SHAPE] = -np.inf
        alike[rows - start, rows] = -np.inf
        found = np.isfinite(alike).sum(axis=1)
        for order, count in zip(np.argsort(-alike, axis=1, kind="stable"), found, strict=True):
            partners.append(order[: min(PARTNERS, count)].tolist())
            distant.append(order[np.linspace(count // 3, count // 2, DISTANT, dtype=int)].tolist() if count else [])
    return partners, distant


def _coarse_details(thumbnails: Sequence[Thumbnail]) -> Floats:
    """Return the images' coarse details, of length 1, [N, 64 * 64]."""
    coarse = np.array([_coarse(each).ravel() for each in thumbnails], np.float32)
    if len(coarse) > ENOUGH:
        coarse -= np.median(coarse, axis=0)  # what all images share says nothing about the part
    return np.asarray(coarse / (np.linalg.norm(coarse, axis=-1, keepdims=True) + 1e-6), np.float32)


def _coarse(each: Thumbnail) -> Floats:
    """Return the detail [64, 64] without exposure and shading, clipped to 3 deviations."""
    small = cv2.resize(each, (COARSE_PX, COARSE_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    detail = small - cv2.GaussianBlur(small, (0, 0), DETAIL_PX)
    return np.asarray(np.clip(detail / (detail.std() + 1e-6), -3, 3), np.float32)


def _fine(each: Thumbnail) -> Halves:
    """Return the detail [128, 128] in units of its own local strength: an edge counts no more than grain."""
    image = each.astype(np.float32)
    detail = image - cv2.GaussianBlur(image, (0, 0), DETAIL_PX)
    strength = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 2 * DETAIL_PX))
    return np.asarray(detail / (strength + 1), np.float16)


def _fits(details: Sequence[Halves], partners: Sequence[Sequence[int]]) -> Fits:
    """Return how each pair of partners fits."""
    pairs = sorted({_pair(i, j) for i, mine in enumerate(partners) for j in mine})
    return {pair: _fit(details, pair) for pair in pairs}


def _pair(one: int, other: int) -> Pair:
    return min(one, other), max(one, other)


def _fit(details: Sequence[Halves], pair: Pair) -> _Fit:
    one, other = (details[i].astype(np.float32) for i in pair)
    inner = other[SHIFT_PX:-SHIFT_PX, SHIFT_PX:-SHIFT_PX]
    _, likeness, _, (x, y) = cv2.minMaxLoc(cv2.matchTemplate(one, inner, cv2.TM_CCOEFF_NORMED))
    return _Fit(likeness, x - SHIFT_PX, y - SHIFT_PX)


def _fitting_everywhere(details: Sequence[Halves], fits: Fits, distant: Sequence[Sequence[int]]) -> list[Pair]:
    """Return the pairs that fit in every place, and do so far better than either fits images distant from it."""
    found = {pair: _everywhere(details, pair, fit) for pair, fit in fits.items() if fit.likeness > FITTING}
    near = [pair for pair, fitting in found.items() if fitting > EVERYWHERE]
    least = {image: _least_everywhere(details, image, distant[image]) for image in {i for pair in near for i in pair}}
    return [pair for pair in near if found[pair] > max(least[i] for i in pair)]


def _least_everywhere(details: Sequence[Halves], image: int, distant: Sequence[int]) -> float:
    """Return how well a shot of the same part must fit an image everywhere; 1, never reached, if that is a pattern."""
    if _repeats(details[image].astype(np.float32)):
        return 1.0
    pairs = {_pair(image, other) for other in distant}
    return (1 + max(_everywhere(details, pair, _fit(details, pair)) for pair in pairs)) / 2


def _repeats(detail: Floats) -> bool:
    inner = detail[SHIFT_PX:-SHIFT_PX, SHIFT_PX:-SHIFT_PX]
    likeness = cv2.matchTemplate(detail, inner, cv2.TM_CCOEFF_NORMED)
    middle = slice(SHIFT_PX - REPEAT_PX, SHIFT_PX + REPEAT_PX + 1)
    likeness[middle, middle] = 0
    return bool(likeness.max() > FITTING)


def _everywhere(details: Sequence[Halves], pair: Pair, fit: _Fit) -> float:
    """Return the least correlation, -1..1, of all windows of a pair but PLACES of them."""
    inner = slice(SHIFT_PX, SIDE_PX - SHIFT_PX)
    down, right = (slice(inner.start + move, inner.stop + move) for move in (fit.down, fit.right))
    one, other = details[pair[0]][down, right].astype(np.float32), details[pair[1]][inner, inner].astype(np.float32)
    products = [cv2.blur(a * b, (WINDOW_PX, WINDOW_PX)) for a, b in ((one, other), (one, one), (other, other))]
    whole = slice(WINDOW_PX // 2, -(WINDOW_PX // 2), 3)
    both, first, second = (product[whole, whole] for product in products)
    return float(np.quantile(both / np.sqrt(first * second + 1e-6), PLACES))


def _own(details: Sequence[Halves], fits: Fits, image: int, partners: Sequence[int]) -> Halves:
    """Return an image's detail without what it has in common with other parts: their mean, moved and turned to fit.

    By least squares of the mean and its change as it is moved, turned, scaled and sheared (Lucas and Kanade).
    """
    likeness = {j: fits[_pair(image, j)].likeness for j in partners}
    others = sorted(partners, key=lambda j: -likeness[j])[_first_other(len(partners)) :]
    if len(others) < ENOUGH:
        return details[image]
    same_view = [j for j in others if likeness[j] > SAME_VIEW * likeness[others[0]]]
    others = same_view if len(same_view) >= ENOUGH else others
    look = np.asarray(
        np.mean([_moved(details[j], fits[_pair(image, j)], image < j) for j in others], axis=0), np.float32
    )
    detail, rest = details[image].astype(np.float32), details[image].astype(np.float32)
    for _ in range(FITTING_STEPS):
        look, rest = _fitted(look, detail)
    return rest.astype(np.float16)


def _fitted(look: Floats, detail: Floats) -> tuple[Floats, Floats]:
    """Return `look` moved, turned, scaled and sheared towards `detail`, and what of the detail that does not explain.

    One step of Lucas and Kanade: least squares of the look and its change along each of these.
    """
    across, down = cv2.Sobel(look, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(look, cv2.CV_32F, 0, 1, scale=1 / 8)
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX].astype(np.float32)
    changes = np.stack([look, across, x * across, y * across, down, x * down, y * down]).reshape(7, -1)
    shares = np.linalg.lstsq(changes @ changes.T, changes @ detail.ravel(), rcond=None)[0]
    rest = (detail.ravel() - shares @ changes).reshape(detail.shape)
    to_x, to_y = (c[0] + c[1] * x + c[2] * y for c in shares[1:].reshape(2, 3) / max(shares[0], 1e-3))
    moved = cv2.remap(look, x + to_x, y + to_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, np.float32), np.asarray(rest, np.float32)


def _moved(detail: Halves, fit: _Fit, forth: bool) -> Floats:
    sign = 1 if forth else -1
    move = np.array([[1, 0, sign * fit.right], [0, 1, sign * fit.down]], np.float32)
    moved = cv2.warpAffine(detail.astype(np.float32), move, (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, np.float32)


def _shared(fits: Fits, partners: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Return how like each image other parts are: its likeness to the first partner that shows another part.

    An image of a rare shape, with too few partners to tell, is taken for one like most.
    """
    likeness = [sorted((fits[_pair(i, j)].likeness for j in mine), reverse=True) for i, mine in enumerate(partners)]
    shared = np.array([found[_first_other(len(found))] if found else 1.0 for found in likeness])
    telling = np.array([len(found) >= OTHERS + ENOUGH for found in likeness])
    if telling.any():
        shared[~telling] = np.median(shared[telling])
    return np.asarray(np.clip(shared, 0, 1), np.float64)


def _first_other(partners: int) -> int:
    """Return which of so many partners, the likeliest first, is the first to show another part."""
    return min(OTHERS, partners // 2)


def _least(look: NDArray[np.float64], rest: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the likeness above which what is left of two images shows one part; see `_shared` of both."""
    return rest + (1 - rest) * (STAND_OUT + STAND_OUT_SHAPED * look)


def _groups(count: int, same: Sequence[Pair]) -> Shots:
    rows, columns = np.array(same, np.intp).reshape(-1, 2).T
    links = coo_array((np.ones(len(same)), (rows, columns)), (count, count))
    number, labels = connected_components(links, directed=False)
    members: list[list[int]] = [[] for _ in range(number)]
    for index, label in enumerate(labels):
        members[label].append(index)
    most = max(MOST * count, LARGE - 1)
    groups = [group for group in members if len(group) > 1]
    return Shots([g for g in groups if len(g) <= most], [g for g in groups if len(g) > most])
