"""The pictures that a base model is trained on: defects, normal images, and masks as images."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline_tasks.diffusion.training_views import PromptedImage, defect_view, mask_view, normal_view
from pipeline_tasks.diffusion.views import Floats
from pipeline_tasks.params import Backend
from pipeline_tasks.seeds import derive_seed

SHARES = {"defect": 0.4, "normal": 0.35, "mask": 0.25}
"""How often each kind of picture is seen; without normal images the others share theirs."""


@dataclass(frozen=True)
class Pictures:
    """Base samples of one product or of several; at least one defect."""

    defects: list[PromptedImage]
    normals: list[PromptedImage]
    backend: Backend

    def draw_kind(self, rng: np.random.Generator) -> str:
        """Return a random kind of picture, as often as SHARES says."""
        kinds = [kind for kind in SHARES if self.images(kind)]
        shares = np.array([SHARES[kind] for kind in kinds])
        return kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))]

    def images(self, kind: str) -> list[PromptedImage]:
        """Return the images that pictures of a kind show."""
        return self.normals if kind == "normal" else self.defects

    def draw(self, kind: str, index: int, rng: np.random.Generator) -> Floats:
        """Return a random view, [3, S, S] in -1..1, of the image `index` of a kind."""
        image = self.images(kind)[index]
        if kind == "mask":
            return mask_view(image.mask, self.backend.resolution_px, rng)
        if kind == "normal":
            like = defect_view(self.defects[rng.integers(len(self.defects))], self.backend, rng)
            return normal_view(image, like, self.backend, rng).pixels
        return defect_view(image, self.backend, rng).pixels

    def prompts(self, kind: str) -> list[str]:
        """Return the prompt of each image of a kind."""
        return [image.mask_prompt if kind == "mask" else image.prompt for image in self.images(kind)]

    def fixed(self, kind: str, views_per_image: int, seed: int) -> Iterator[Floats]:
        """Yield `views_per_image` views of every image of a kind, one after the other; each has a seed of its own."""
        for index in range(len(self.images(kind))):
            for number in range(views_per_image):
                yield self.draw(kind, index, np.random.default_rng(derive_seed(seed, kind, index, number)))
