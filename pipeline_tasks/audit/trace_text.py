"""A trace as lines of text."""

from collections.abc import Iterator

from pipeline_tasks.audit.sample_use import DataSet, RealSample
from pipeline_tasks.audit.trace import ReleaseUse, Trace


def lines(trace: Trace) -> list[str]:
    """Return where the samples are, in lines for a terminal."""
    if not trace.samples and not trace.models:
        what = f"no published version that could be looked at holds a sample '{trace.asked}'"
        return [what, *_unchecked(trace)]
    return [
        *(line for sample in trace.samples for line in _sample(sample)),
        *(line for release in trace.releases if release.uses for line in _release(release)),
        *_without(trace),
        *_models(trace),
        *_unchecked(trace),
    ]


def _sample(sample: RealSample) -> Iterator[str]:
    yield f"{sample.product}/{sample.source_path}  SHA-256 {sample.sha256}"
    if sample.shots:
        yield f"  other shots of the same part: {', '.join(sample.shots)}"
    if sample.counterparts:
        yield f"  defect-free counterpart: {', '.join(sample.counterparts)}"


def _release(release: ReleaseUse) -> Iterator[str]:
    yield f"{release.tag}: version {release.version}, commit {release.revision[:12]}"
    for use in release.uses:
        yield f"  {use.product}/{use.source_path} ({use.defect}): {', '.join(use.roles)}"
        yield from (f"    pairs of {found.product}/{found.defect}: {_data_set(found)}" for found in use.data_sets)
        yield from (f"    generator {made.name} learned from it ({made.digest})" for made in use.generators)
        if not (use.data_sets or use.generators):
            yield "    nothing is made or learned of it: it is only measured on"


def _data_set(found: DataSet) -> str:
    ways = [f"parent of {found.parents}"] if found.parents else []
    ways += [f"normal image of {found.normals}"] if found.normals else []
    ways += ["made by a generator that learned from it"] if found.generator else []
    return ", ".join(ways) or "their masks or prompts come from it among others"


def _without(trace: Trace) -> Iterator[str]:
    if none := [release.tag for release in trace.releases if not release.uses]:
        yield f"not in {', '.join(none)}"


def _models(trace: Trace) -> Iterator[str]:
    for model in trace.models:
        alias = f" ({', '.join(model.aliases)})" if model.aliases else ""
        yield f"{model.model} version {model.number}{alias}: {model.how}"


def _unchecked(trace: Trace) -> Iterator[str]:
    yield from (f"unchecked: {left.what}: {left.why}" for left in trace.unchecked)
