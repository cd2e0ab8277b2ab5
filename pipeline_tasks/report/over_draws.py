"""What an evaluation by protocol found over its draws: arms by detector, how like real defects pairs are, time."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline_tasks.measures.scored import spread

Values = Mapping[str, Any]
Run = Values
"""One run of the pipeline: its name ('' for the first, of all arms), generator, evaluation, seconds, pairs."""
Draw = Sequence[Run]
Spread = dict[str, Any]
"""{mean, std, values}; std is None of a single value."""
TRAINING, SAMPLING = ("pretrain@", "train@"), ("generate@",)
"""How the names of the stages begin whose seconds count."""


def is_spread(value: Any) -> bool:
    """Tell whether a value of an arm is a score with its spread."""
    return isinstance(value, Mapping) and "mean" in value


def arms_by_detector(draws: Sequence[Draw]) -> dict[str, dict[str, Values]]:
    """Return of each detector its arms by name: scores, synthetic_images and 'against' the incumbent.

    Of one draw they are as evaluated: their spread is over seeds. Of several, the spread is over the draws' means. The
    generator's arms of another run than the first bear its name: 'inpainting_50 [no-hmi]'.
    """
    found = [_detectors(draw) for draw in draws]
    if len(found) == 1:
        return found[0]
    return {detector: _each(_those_with(found, detector), _joined) for detector in _keys(found)}


def _detectors(draw: Draw) -> dict[str, dict[str, Values]]:
    detectors: dict[str, dict[str, Values]] = {}
    for run in draw:
        for detector, its in (run["evaluation"] or {}).get("detectors", {}).items():
            detectors.setdefault(detector, {}).update(_labelled(run, its["arms"]))
    return detectors


def _labelled(run: Run, arms: Values) -> dict[str, Values]:
    if not run["name"]:
        return dict(arms)
    return {f"{a} [{run['name']}]": its for a, its in arms.items() if a.startswith(f"{run['generator']}_")}


def _joined(arms: Sequence[Values]) -> Values:
    """Return one arm over the draws that have it."""
    scores = [name for name in _keys(arms) if name != "against" and any(is_spread(arm.get(name)) for arm in arms)]
    means = {name: spread([arm[name]["mean"] for arm in arms if arm.get(name)]) for name in scores}
    gains = [arm["against"]["difference"] for arm in arms if arm.get("against")]
    images = max((arm["synthetic_images"] for arm in arms if "synthetic_images" in arm), default=None)
    return {**means, "synthetic_images": images, "against": spread(gains)}


def likeness(draws: Sequence[Draw]) -> dict[str, dict[str, dict[str, Spread]]]:
    """Return by run and defect the measures of its pairs: numbers alone, over the draws."""
    found = [{run_name(run): (run["evaluation"] or {}).get("generation") or {} for run in draw} for draw in draws]
    return {run: _each(_those_with(found, run), _measures) for run in _keys(found)}


def _measures(defects: Sequence[Values]) -> dict[str, Spread]:
    numbers = {name: [v for v in _those_with(defects, name) if isinstance(v, int | float)] for name in _keys(defects)}
    return {name: found for name, values in numbers.items() if (found := spread(values))}


def durations(draws: Sequence[Draw]) -> dict[str, dict[str, Spread | None]]:
    """Return by run the seconds of 'training' and of each 'pair' over the draws.

    None where they are not known: a stage was resumed, or its outputs were there before.
    """
    found = [{run_name(run): _duration(draw[0], run) for run in draw} for draw in draws]
    return {run: _each(_those_with(found, run), _known) for run in _keys(found)}


def _duration(first: Run, run: Run) -> dict[str, float | None]:
    """Return a run's seconds; a stage that is the same in the first run is not run again."""
    seconds = {**first["seconds"], **run["seconds"]}
    training, sampling = (_sum(seconds, stages) for stages in (TRAINING, SAMPLING))
    pairs = sum(run["pairs"].values())
    return {"training": training, "pair": sampling / pairs if sampling is not None and pairs else None}


def _sum(seconds: Mapping[str, float | None], stages: tuple[str, ...]) -> float | None:
    values = [value for stage, value in seconds.items() if stage.startswith(stages)]
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _known(values: Sequence[float | None]) -> Spread | None:
    return spread([value for value in values if value is not None])


def run_name(run: Run) -> str:
    """Return what tells a run from the others of its draw."""
    return str(run["name"] or run["generator"])


def _each(mappings: Sequence[Values], join: Any) -> dict[str, Any]:
    """Return by key what `join` makes of the values that the mappings have under it."""
    return {key: join(_those_with(mappings, key)) for key in _keys(mappings)}


def _keys(mappings: Iterable[Values]) -> list[str]:
    """Return the mappings' keys in their order, each once."""
    return list(dict.fromkeys(key for mapping in mappings for key in mapping))


def _those_with(mappings: Iterable[Values], key: str) -> list[Any]:
    return [mapping[key] for mapping in mappings if key in mapping]
