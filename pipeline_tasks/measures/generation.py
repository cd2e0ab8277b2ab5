"""Every measure of generated views in one go, named with the network it rests on (METHODS section 5)."""

from collections.abc import Callable

from pipeline_tasks.measures.distances import (
    UnmeasurableError,
    fid,
    inception_score,
    intra_cluster_distance,
    kid,
    mean_distance,
)
from pipeline_tasks.measures.features import FeatureNetwork, Seen
from pipeline_tasks.measures.memorisation import nearness
from pipeline_tasks.measures.views import Views
from pipeline_tasks.seeds import derive_seed


def generation_measures(
    network: FeatureNetwork, generated: Views, real: Views, base: Views, seed: int
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Return the measures of `generated` views, `<measure>_<network>`, and why those that are None do not apply.

    kid (x 1000) and fid: distance from `real`, the views to resemble; is: sharp and diverse by the network's classes;
    perceptual: mean distance of all pairs, ic_perceptual: of those nearest to the same of `base`, the views that the
    generator was trained on (both called lpips with LPIPS' own weights); nearest_base: median distance to the nearest
    of `base`, in medians among these; closer_to_base: share nearer to one of `base` than any two of these are.
    """
    made, known, learned = (network.look(views) for views in (generated, real, base))
    values: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    for measure, find in _measures(network.distance, made, known, learned, seed).items():
        name = f"{measure}_{network.name}"
        try:
            values[name] = find()
        except UnmeasurableError as reason:
            values[name], reasons[name] = None, str(reason)
    return values, reasons


def _measures(distance: str, made: Seen, known: Seen, learned: Seen, seed: int) -> dict[str, Callable[[], float]]:
    def near() -> tuple[float, float]:
        found = nearness(made.features.numpy(), learned.features.numpy())
        return found.ratio, found.closer

    return {
        "kid": lambda: kid(made.features, known.features, derive_seed(seed, "kid")),
        "fid": lambda: fid(made.features, known.features),
        "is": lambda: inception_score(made.logits, len(made), derive_seed(seed, "is")),
        distance: lambda: mean_distance(made.appearance, len(made)),
        f"ic_{distance}": lambda: intra_cluster_distance(made.appearance, learned.appearance),
        "nearest_base": lambda: near()[0],
        "closer_to_base": lambda: near()[1],
    }
