"""Gather what the arms are made of: real pieces, pairs by source, simulated defects."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from pipeline_tasks.benefit.arms import Arm, sources
from pipeline_tasks.benefit.material import Material, pair_pieces, real_piece, with_parents
from pipeline_tasks.benefit.simulated import SIMULATED, normals_of, simulate
from pipeline_tasks.detector_params import Detector
from pipeline_tasks.params import Perlin
from pipeline_tasks.schema import GOOD, Pair, Sample


def gather(
    base: Sequence[Sample],
    pairs: Mapping[str, Callable[[], Iterable[Pair]]],
    arms: Sequence[Arm],
    perlin: Perlin,
    detector: Detector,
    pairs_per_arm: int,
    seed: int,
    margin_px: int | None = None,
) -> Material:
    """Return the material of `arms`, ordered by path: only what one of them asks for is read or made.

    pairs: by source. Simulated defects are made on the normal images among `base`, `pairs_per_arm` of each source.
    margin_px: what is kept around synthetic defects, by default all that a window can show of them.
    """
    real = [real_piece(sample, detector.max_image_px) for sample in sorted(base, key=lambda one: one.source_path)]
    defects = sorted({piece.defect for piece in real} - {GOOD})
    margin, normals = detector.window_px if margin_px is None else margin_px, normals_of(real)
    made = {}
    for source in sources(arms):
        if source in SIMULATED:
            pieces = simulate(source, normals, defects, pairs_per_arm, perlin, margin, seed)
        else:
            pieces = pair_pieces(pairs.get(source, tuple)(), detector.max_image_px, margin)
        made[source] = with_parents(sorted(pieces, key=lambda piece: piece.path), real)
    return Material(real, made)


def available(arms: Sequence[Arm], material: Material) -> tuple[list[Arm], list[str]]:
    """Return the arms that there is material for, and a sentence on each of the others."""
    given = [arm for arm in arms if arm.is_real or material.made.get(arm.source)]
    return given, [f"arm {arm}: there are no defects by {arm.source}" for arm in arms if arm not in given]
