"""What detectors can be trained on: real base images and synthetic defects, each with the images it comes from."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline_tasks.benefit.arms import Arm, Recipe
from pipeline_tasks.detectors.windows import Mix, Scene, around_defect, open_scene
from pipeline_tasks.images.codec import Mask, Pixels
from pipeline_tasks.schema import GOOD, Pair, Sample


@dataclass(frozen=True, slots=True)
class Piece:
    """An image, or the part of one around its defect. `origins`: source_paths of the base images that went into it."""

    scene: Scene
    defect: str
    path: str
    """source_path of a sample, pair_id of a pair: unique within its source."""
    origins: frozenset[str]
    digest: str
    """SHA-256 (hex) of image and mask."""
    derived_from: str | None = None


@dataclass(frozen=True)
class Material:
    """Base images, normal ones among them, and synthetic defects by source: the arms' ingredients."""

    real: Sequence[Piece]
    made: Mapping[str, Sequence[Piece]]

    def without(self, paths: Collection[str]) -> "Material":
        """Return what does not come from the base images `paths`: what may be learned from while they are left out."""
        made = {source: _unrelated(pieces, paths) for source, pieces in self.made.items()}
        return Material(_unrelated(self.real, paths), made)

    @property
    def defects(self) -> list[str]:
        """The defects that have real images."""
        return sorted({piece.defect for piece in self.real} - {GOOD})

    def has(self, arm: Arm, defect: str) -> bool:
        """Whether there is what an arm would train a defect with."""
        return arm.is_real or bool(self._of(arm.source, defect))

    def ingredients(self, recipe: Recipe) -> list[Piece]:
        """Return the synthetic pieces that a recipe trains with."""
        return [piece for d, arm in recipe.items() if not arm.is_real for piece in self._of(arm.source, d)]

    def scenes(self) -> dict[str, list[Scene]]:
        """Return the real scenes by defect, normal ones as GOOD."""
        return {d: [p.scene for p in self.real if p.defect == d] for d in sorted({p.defect for p in self.real})}

    def mixes(self, recipe: Recipe) -> dict[str, Mix]:
        """Return what each defect of the recipe is trained with; one without synthetic pieces has none to mix in."""
        return {
            defect: Mix([piece.scene for piece in self._of(arm.source, defect)], arm.ratio, arm.policy)
            for defect, arm in recipe.items()
        }

    def _of(self, source: str, defect: str) -> list[Piece]:
        return [piece for piece in self.made.get(source, ()) if piece.defect == defect]


def _unrelated(pieces: Sequence[Piece], paths: Collection[str]) -> list[Piece]:
    return [piece for piece in pieces if piece.origins.isdisjoint(paths)]


def real_piece(sample: Sample, max_image_px: int) -> Piece:
    """Return a base sample as a piece; a counterpart comes from the defect image that it was made of, too."""
    origins = frozenset(path for path in (sample.source_path, sample.derived_from) if path)
    scene = open_scene(sample.image, sample.mask, max_image_px)
    digest = content_of(sample.image, sample.mask)
    return Piece(scene, sample.defect, sample.source_path, origins, digest, sample.derived_from)


def pair_pieces(pairs: Iterable[Pair], max_image_px: int, margin_px: int) -> list[Piece]:
    """Return the surroundings of each pair's defect, up to `margin_px` around it; the rest is let go."""
    return [
        Piece(
            around_defect(open_scene(pair.image, pair.mask, max_image_px), margin_px),
            pair.defect,
            pair.pair_id,
            _origins(pair),
            content_of(pair.image, pair.mask),
        )
        for pair in pairs
    ]


def _origins(pair: Pair) -> frozenset[str]:
    """Return the base images that a pair comes from: parents of another product are none, whatever their paths."""
    parents = (pair.parent_a, pair.parent_b) if pair.source == pair.product else ()
    return frozenset(path for path in (*parents, pair.normal_path) if path)


def synthetic_piece(
    pixels: Pixels, mask: Mask, defect: str, path: str, origins: frozenset[str], margin_px: int
) -> Piece:
    """Return the surroundings of a defect, `mask` bool [H, W], on `pixels`, RGB uint8 [H, W, 3], as a piece."""
    whole = Scene(pixels, mask, float(pixels.mean()), float(pixels.std()))
    digest = content_of(pixels.tobytes(), mask.tobytes())
    return Piece(around_defect(whole, margin_px), defect, path, origins, digest)


def with_parents(made: Sequence[Piece], real: Sequence[Piece]) -> list[Piece]:
    """Return pieces whose origins also name the images that their counterparts were made of."""
    parent = {piece.path: piece.derived_from for piece in real if piece.derived_from}
    return [
        replace(piece, origins=piece.origins | {parent[path] for path in piece.origins if path in parent})
        for piece in made
    ]


def digest_of(pieces: Iterable[Piece]) -> str:
    """Return the SHA-256 (hex) of what pieces show, in their order."""
    return hashlib.sha256("".join(f"{piece.defect}\0{piece.digest}\n" for piece in pieces).encode()).hexdigest()


def content_of(image: bytes, mask: bytes | None) -> str:
    """Return the SHA-256 (hex) of an image and its mask."""
    return hashlib.sha256(image + b"\0" + (mask or b"")).hexdigest()
