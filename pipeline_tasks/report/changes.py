"""What changed since the version before: parameters, data sets and the figures that matter most."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline_tasks.benefit_params import INCUMBENT
from pipeline_tasks.report.contents import History, ProductContents
from pipeline_tasks.report.tables import Cell, Table
from pipeline_tasks.report.words import CHOSEN, arm_words, score_words, signed

FIRST = "This is the first version that was registered: there is none before it to compare with."
ABSENT = "–"


@dataclass(frozen=True)
class Change:
    """A parameter, before and now."""

    name: str
    before: str
    now: str


@dataclass(frozen=True)
class Changes:
    """What changed; nothing, if this is the first version. params: of all products. datasets: a sentence each."""

    first: bool
    sentence: str
    params: Sequence[Change]
    datasets: Sequence[str]
    metrics: Table | None


def changes_section(contents: ProductContents, history: History) -> Changes:
    """Return what changed for one product since the version before."""
    before = history.previous
    if before is None:
        return Changes(True, FIRST, [], [], None)
    return Changes(
        False,
        f"Since version {before.version} of {before.created:%d %B %Y, %H:%M} UTC:",
        list(_differing(before.params, history.params)),
        list(_datasets(contents, before.datasets)),
        _metrics(contents, before.metrics, history.metrics),
    )


def _differing(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Change]:
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            yield Change(name, before.get(name, ABSENT), now.get(name, ABSENT))


def _datasets(contents: ProductContents, before: Mapping[str, str]) -> Iterator[str]:
    now = {f"{contents.product}/{defect.defect}": defect.digest for defect in contents.defects}
    for name, digest in now.items():
        if name not in before:
            yield f"{name}: pairs of this defect are new."
        elif before[name] != digest:
            yield f"{name}: the pairs were made anew and differ."
    for name in sorted(set(before) - set(now)):
        if name.startswith(f"{contents.product}/"):
            yield f"{name}: there are no pairs of this defect any more."


def _metrics(contents: ProductContents, before: Mapping[str, float], now: Mapping[str, float]) -> Table | None:
    """Return the main figures that either version has, and the counts that differ."""
    rows, counts = [], _counts(contents)
    for name, words in (_main(contents) | counts).items():
        old, new = before.get(name), now.get(name)
        if (old is not None or new is not None) and (old != new or name not in counts):
            rows.append((words, [Cell(_figure(old)), Cell(_figure(new)), Cell(_difference(old, new))]))
    return Table("", ["before", "now", "difference"], rows) if rows else None


def _main(contents: ProductContents) -> dict[str, str]:
    """Return the main figures' names in MLflow, in their order, with what a person calls them."""
    product, headline = contents.product, contents.evaluation.get("headline") or {}
    names = {f"{product}/choice/lift_gain": "gain out of fold, pixel AP"}
    if headline:
        prefix, score = f"{product}/{headline['detector']}", headline["score"]
        for arm in (CHOSEN, INCUMBENT):
            names[f"{prefix}/{arm}/{score}_mean"] = f"test split, {arm_words(arm)}: {score_words(score)}"
    return names


def _counts(contents: ProductContents) -> dict[str, str]:
    product = contents.product
    pairs = {f"{product}/pairs/{defect.defect}": f"pairs of {defect.defect}" for defect in contents.defects}
    return pairs | {f"{product}/gate/failed_expectations": "expectations of the quality gate that did not hold"}


def _figure(value: float | None) -> str:
    return ABSENT if value is None else f"{value:g}" if value == int(value) else f"{value:.3f}"


def _difference(before: float | None, now: float | None) -> str:
    if before is None or now is None:
        return ABSENT
    whole = before == int(before) and now == int(now)
    return f"{now - before:+.0f}".replace("-", "−") if whole else signed(now - before)
