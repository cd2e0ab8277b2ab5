"""How like real defects the synthetic ones are: distances, diversity, memorisation, and one picture (METHODS 5).

None of this predicts benefit; it shows what kind of images were made.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline_tasks.benefit.material import Material, Piece
from pipeline_tasks.benefit_params import Generation
from pipeline_tasks.detector_params import Detector
from pipeline_tasks.detectors.classifier import train_classifier
from pipeline_tasks.detectors.labelled_images import whole
from pipeline_tasks.detectors.windows import Mix, Scene, around_defect
from pipeline_tasks.diffusion.device import pick_device
from pipeline_tasks.images.codec import Mask
from pipeline_tasks.measures.embedding import embed
from pipeline_tasks.measures.features import FeatureNetwork, clip_network, product_network
from pipeline_tasks.measures.generation import generation_measures
from pipeline_tasks.measures.imagenet import alexnet_network, inception_network
from pipeline_tasks.measures.mask_overlap import nearest_mask_iou
from pipeline_tasks.measures.views import Views, defect_view
from pipeline_tasks.schema import GOOD
from pipeline_tasks.seeds import derive_seed

KEY = "evaluate.generation.weights"
ONE_CLASS = "one class alone teaches a network nothing: there are no normal images, and one defect"
SHOWN = 60
"""Views of each kind in the picture, at most."""
GIVEN: dict[str, Callable[[str, str, torch.device], FeatureNetwork]] = {
    "inception": inception_network,
    "alexnet": alexnet_network,
    "clip": clip_network,
}


@dataclass(frozen=True)
class Likeness:
    """The views of a product's real and synthetic defects. test: real ones that nothing was learned from.

    Real images are cut as synthetic ones are, to what a window can show around the defect, so that views are alike.
    """

    params: Generation
    detector: Detector
    product: str
    material: Material
    test: Sequence[Piece]
    seed: int

    def measures(self, source: str) -> dict[str, dict[str, Any]]:
        """Return of each defect by `source` how it compares with the test images, and with the base images.

        Each measure is named with its network; `reasons` says why one is None.
        """
        return {defect: self._of_defect(source, defect) for defect in self.material.defects}

    def embedding(self) -> dict[str, Any] | None:
        """Return points of normal, real and synthetic views in the plane (CAGen, figure 4).

        None for too few views, or if all look alike to the network.
        """
        groups = {"normal": self.normals, "real": self._views([*self._defects(self.material.real), *self.test])}
        groups |= {source: self._views(pieces) for source, pieces in self.material.made.items()}
        shown = {kind: _some(views, SHOWN) for kind, views in groups.items() if views}
        rows = [(kind, defect, view) for kind, views in shown.items() for defect, view in views]
        if not rows or not self.network:
            return None
        kinds, defects, views = zip(*rows, strict=True)
        features = self.network.features(np.stack(views))
        if not np.ptp(features, axis=0).any():
            return None
        points = embed(features, kinds, defects, derive_seed(self.seed, "embedding"))
        return {"network": self.network.name, "points": points} if points else None

    def _of_defect(self, source: str, defect: str) -> dict[str, Any]:
        every = [piece for piece in self.material.made.get(source, ()) if piece.defect == defect]
        made = _some(every, self.params.pairs)
        base, test = ([piece for piece in its if piece.defect == defect] for its in (self.material.real, self.test))
        seed, stack = derive_seed(self.seed, "measures", defect), self._stack
        masks = nearest_mask_iou([piece.scene.mask for piece in made], [piece.scene.mask for piece in base])
        found = {"pairs": len(made), "real": len(test), "base": len(base), "mask_iou": masks}
        if not self.network:
            return {**found, "network": None, "reasons": {"network": ONE_CLASS}}
        values, reasons = generation_measures(self.network, stack(made), stack(test), stack(base), seed)
        return {**found, "network": self.network.name, **values, "reasons": reasons}

    @cached_property
    def network(self) -> FeatureNetwork | None:
        """The network whose features are compared: of given weights, or trained on the base views, if of two kinds."""
        if self.params.network == "own":
            return self._own() if len({piece.defect for piece in self.material.real}) > 1 else None
        return GIVEN[self.params.network](self.params.weights, KEY, pick_device(self.detector.device))

    def _own(self) -> FeatureNetwork:
        own = {"network": "resnet18", "classes": "defects", "weights": "none", "resolution_px": self.params.view_px}
        params = self.detector.model_copy(update={"classifier": self.detector.classifier.model_copy(update=own)})
        labelled = [*self._views(self._defects(self.material.real)), *self.normals]
        scenes = {name: [_scene(view) for label, view in labelled if label == name] for name, _ in labelled}
        mixes = {defect: Mix([], 0.0, "flip") for defect in scenes if defect != GOOD}
        trained = train_classifier(scenes, mixes, params, derive_seed(self.seed, "own network"), lambda: None)
        device = trained.network.device

        def prepare(views: Views) -> Tensor:
            images = [whole(_scene(view), self.params.view_px).transpose(2, 0, 1) for view in views]
            return torch.from_numpy(np.stack(images)).to(device)

        return product_network(trained.network, self.product, prepare)

    @cached_property
    def normals(self) -> list[tuple[str, Views]]:
        """Views of normal images, as large as a real defect's, at a random place."""
        masks = [piece.scene.mask for piece in self._defects(self.material.real)]
        rng = np.random.default_rng(derive_seed(self.seed, "normal views"))
        normals = [piece for piece in self.material.real if piece.defect == GOOD]
        scenes = [piece.scene for piece in (normals if masks else [])]
        return [(GOOD, self._view(replace(scene, mask=_somewhere(scene.mask.shape, masks, rng)))) for scene in scenes]

    def _defects(self, pieces: Iterable[Piece]) -> list[Piece]:
        return [piece for piece in pieces if piece.defect != GOOD]

    def _views(self, pieces: Iterable[Piece]) -> list[tuple[str, Views]]:
        return [(piece.defect, self._view(piece.scene)) for piece in pieces]

    def _view(self, scene: Scene) -> Views:
        part = around_defect(scene, self.detector.window_px)
        return defect_view(part.pixels, part.mask, self.params.view_px)

    def _stack(self, pieces: Sequence[Piece]) -> Views:
        side = self.params.view_px
        return np.stack([view for _, view in self._views(pieces)]) if pieces else np.zeros((0, side, side, 3), np.uint8)


def _scene(view: Views) -> Scene:
    return Scene(view, np.zeros(view.shape[:2], bool), float(view.mean()), float(view.std()))


def _somewhere(shape: tuple[int, ...], masks: Sequence[Mask], rng: np.random.Generator) -> Mask:
    """Return a rectangle of the extent of one of `masks`, at a random place, as bool of `shape`."""
    mask = masks[int(rng.integers(len(masks)))]
    extents = [int(np.ptp(at)) + 1 for at in np.nonzero(mask)]
    sides = [min(extent, size) for extent, size in zip(extents, shape, strict=True)]
    starts = [int(rng.integers(size - side + 1)) for side, size in zip(sides, shape, strict=True)]
    found = np.zeros(shape, bool)
    found[starts[0] : starts[0] + sides[0], starts[1] : starts[1] + sides[1]] = True
    return found


def _some(items: Sequence[Any], most: int) -> list[Any]:
    """Return at most so many of `items`, evenly spread."""
    shown = min(most, len(items))
    return [items[i * len(items) // shown] for i in range(shown)]
