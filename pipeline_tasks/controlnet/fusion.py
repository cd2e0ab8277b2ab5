"""Fusing sampled latents with similar features of other samples (DefectSynth Eq. 9)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pipeline_tasks.generator_params import Sff


def masked_features(latents: Tensor, mask: Tensor) -> Tensor:
    """Return the features [M, C] of the masked cells of `latents` [C, h, w], row by row; mask: [1, h, w] in {0, 1}."""
    return latents[:, mask[0] > 0].T


def fuse_features(own: Tensor, references: Sequence[Tensor], params: Sff, seed: int) -> Tensor:
    """Return the masked cells' features `own` [M, C] with a share of them fused (SFF, Eq. 9).

    Of params.rate of the cells, drawn from `seed`, each becomes own_weight * f + sum_j w_j * r_j, where r_j is the most
    similar (dot product) of the features [M_j, C] of reference j. The weights sum to 1, equal ones for the references
    that have features; without any, nothing is fused. References are unfused originals, whatever the order of work.
    """
    present = [reference for reference in references if len(reference)]
    if not present:
        return own
    chosen = torch.from_numpy(_chosen_cells(len(own), params.rate, seed)).to(own.device)
    features = own[chosen]
    matches = [reference[(features @ reference.T).argmax(dim=1)] for reference in present]
    blended = params.own_weight * features + (1 - params.own_weight) * torch.stack(matches).mean(dim=0)
    return own.index_copy(0, chosen, blended)


def _chosen_cells(cells: int, rate: float, seed: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.sort(np.random.default_rng(seed).permutation(cells)[: round(rate * cells)])


def with_features(latents: Tensor, mask: Tensor, features: Tensor) -> Tensor:
    """Return `latents` [C, h, w] with `features` [M, C] in the masked cells: the inverse of `masked_features`."""
    return latents.masked_scatter(mask > 0, features.T)
