"""Double-free guidance: a normal image, pulled towards its product and pushed towards a defect (DefectDiffu 3.3)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pipeline_tasks.dit.sampling import Denoise, Scene
from pipeline_tasks.dit.tdia import TDIA
from pipeline_tasks.dit.texts import Names, PartText, PartTexts


def branches(names: Sequence[Names], defective: bool) -> list[Names]:
    """Return what each branch of Eq. 4 sees of B samples, branch by branch: (good, empty), (good, product), (defect,
    empty). The last is left out where w_d = 0: of a normal image. Eq. 12 is the same, with another product's defect.
    """
    normal = [each.without_defect() for each in names]
    of_defect = [each.without_product() for each in names] if defective else []
    return [*(each.without_product() for each in normal), *normal, *of_defect]


def double_free(predicted: Tensor, product_scale: Tensor, defect_scale: Tensor) -> Tensor:
    """Return Eq. 4 [B, C, h, w] of the branches' predictions [2 or 3 x B, C, h, w]; w_p and w_d [B].

    Its weights sum to 1 and the three predictions are of one z_t, so it holds for v as it does for noise.
    """
    w_p, w_d = (scale[:, None, None, None] for scale in (product_scale, defect_scale))
    empty, of_product, *of_defect = predicted.chunk(len(predicted) // len(w_p))
    guided: Tensor = empty + w_p * (of_product - empty)
    return guided + w_d * (of_defect[0] - empty) if of_defect else guided


class DoubleFreeDenoiser:
    """The TDIA at work, all branches in one pass. Those without a product share the background part, unless `shared`
    is false: with one prompt for all parts (the ablation) the background part, too, sees the defect.
    """

    def __init__(self, tdia: TDIA, shared: bool, compiled: bool) -> None:
        self._shared, self._dtype = shared, tdia.dtype
        self._tdia: Callable[..., Any] = torch.compile(tdia, dynamic=False) if compiled else tdia

    def condition(self, texts: PartTexts, batch: Scene) -> Denoise:
        """Return the prediction of the noise (or v) in the B scenes of `batch`; texts: of their `branches`."""
        rows, samples = len(texts.defect.tokens), len(batch.noise)
        texts = texts.to(batch.noise.device, self._dtype)
        continued = None
        if self._shared and rows == 3 * samples:
            texts = replace(texts, background=_first(texts.background, 2 * samples))
            continued = torch.arange(rows, device=batch.noise.device) % (2 * samples)
        return partial(self._predict, texts, continued, batch)

    def _predict(
        self, texts: PartTexts, continued: Tensor | None, batch: Scene, latents: Tensor, time: int, mapped: bool
    ) -> tuple[Tensor, Tensor | None]:
        samples, rows = len(latents), len(texts.background.tokens)
        output = self._tdia(
            latents.repeat(rows // samples, 1, 1, 1).to(self._dtype),
            torch.full((rows,), time, device=latents.device),
            texts,
            continued=continued,
            mapped=slice(2 * samples, 3 * samples) if mapped else None,
        )
        return double_free(output.sample.float(), batch.product_scale, batch.defect_scale), output.maps


def _first(text: PartText, rows: int) -> PartText:
    return PartText(text.embedding[:rows], text.tokens[:rows])
