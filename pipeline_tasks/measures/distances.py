"""How far generated views are from real ones, and from each other (METHODS section 5): KID, FID, IS, IC-LPIPS.

On features, whichever network they come from; the network's name goes with the result (generation.py).
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pipeline_tasks.errors import DataError

KID_SUBSETS, KID_SUBSET = 100, 100
"""KID is the mean over this many draws of so many views of each kind, or of all there are if they are fewer."""
IS_SPLITS, IS_SPLIT = 10, 100
"""IS is the mean over as many parts as have so many views each, 10 at most, as published."""
LEAST_LOG = -700.0
"""The logarithm of a probability that 64 bits still hold."""


class UnmeasurableError(DataError):
    """There are too few views, or the network lacks what the measure rests on: it is left out, for this reason."""


def kid(generated: Tensor, real: Tensor, seed: int) -> float:
    """Return 1000 x KID of features [N, D] and [M, D]: the squared MMD of a cubic kernel (Binkowski et al. 2018).

    Unbiased, whatever N and M: about 0, and as often below, for views of one distribution. Raises UnmeasurableError.
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    least = min(len(generated), len(real))
    if least < 2:
        raise UnmeasurableError(f"needs 2 views of either kind; there are {len(generated)} generated, {len(real)} real")
    with _drawn_from(seed):
        metric = KernelInceptionDistance(_Given(generated), subsets=KID_SUBSETS, subset_size=min(KID_SUBSET, least))
        metric.update(real.double(), real=True)
        metric.update(generated.double(), real=False)
        return 1000 * float(metric.compute()[0])


def fid(generated: Tensor, real: Tensor) -> float:
    """Return the FID of features [N, D] and [M, D] (Heusel et al. 2017), 0 and up.

    Raises UnmeasurableError unless N and M exceed D: the covariances would be singular, the bias beyond the value.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    least, width = min(len(generated), len(real)), generated.shape[1]
    if least <= max(width, 1):
        raise UnmeasurableError(
            f"needs more views of either kind than the network has features, {width}; there are {len(generated)} "
            f"generated, {len(real)} real"
        )
    metric = FrechetInceptionDistance(_Given(generated))
    metric.update(real.double(), real=True)
    metric.update(generated.double(), real=False)
    return max(0.0, float(metric.compute()))


def inception_score(logits: Tensor | None, count: int, seed: int) -> float:
    """Return the IS of `count` views of these logits [N, C] (Salimans et al. 2016), 1..C: sharp and diverse is high.

    Raises UnmeasurableError for less than two views or classes.
    """
    from torchmetrics.image.inception import InceptionScore

    if count < 2:
        raise UnmeasurableError(f"needs 2 generated views; there are {count}")
    if logits is None or logits.shape[1] < 2:
        raise UnmeasurableError("the network tells no classes apart")
    with _drawn_from(seed):
        metric = InceptionScore(nn.Identity(), splits=max(1, min(IS_SPLITS, count // IS_SPLIT)))
        # Chances of nothing at all would make it not a number.
        metric.update(logits.double().log_softmax(1).clamp(min=LEAST_LOG))
        return float(metric.compute()[0])


def mean_distance(appearance: Tensor | None, count: int) -> float:
    """Return the mean perceptual distance of all pairs of `count` views: how diverse they are, 0 for copies.

    `appearance` [N, P] is that of `Seen`: the mean squared distance of all pairs is twice the variance, summed.
    Raises UnmeasurableError.
    """
    if count < 2:
        raise UnmeasurableError(f"needs 2 generated views; there are {count}")
    if appearance is None:
        raise UnmeasurableError("the network has no layers that a perceptual distance is known for")
    return float(2 * appearance.var(0).sum())


def intra_cluster_distance(generated: Tensor | None, known: Tensor | None) -> float:
    """Return the mean perceptual distance of the generated views next to the same known one (Ojha et al. 2021).

    Of the `appearance` of `Seen`. Every generated view goes to its nearest known one; the mean is over all pairs within
    each cluster of two or more, then over clusters. A generator of copies gets 0. Raises UnmeasurableError.
    """
    if generated is None or known is None:
        raise UnmeasurableError("needs generated and known views, and layers that a perceptual distance is known for")
    nearest = torch.cdist(generated, known).argmin(1)
    clusters = [generated[nearest == at] for at in range(len(known))]
    found = [mean_distance(cluster, len(cluster)) for cluster in clusters if len(cluster) > 1]
    if not found:
        raise UnmeasurableError("no two generated views are nearest to the same known one")
    return sum(found) / len(found)


class _Given(nn.Module):
    """Features as they are, where torchmetrics asks for a network."""

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.num_features = features.shape[1]

    def forward(self, features: Tensor) -> Tensor:
        return features


@contextmanager
def _drawn_from(seed: int) -> Iterator[None]:
    """Let torchmetrics draw from `seed` alone, and not warn of its buffers or of a spread over one part."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        yield
