"""An audit as lines of text."""

from collections.abc import Iterator, Mapping, Sequence

from pipeline_tasks.audit.chain import Audit
from pipeline_tasks.report.audit_page import SHOWN, VERDICTS, in_words, sentence, steps


def lines(audit: Audit) -> list[str]:
    """Return what became of an audit, in lines for a terminal: the verdict, the steps, what is broken or unchecked."""
    values = audit.to_json()
    found, means = sentence(values["links"])
    name = f"dataset-{audit.number}" if audit.number else "unpublished"
    of = f"{name} (version {audit.version}, commit {audit.revision[:12]})" if audit.version else audit.subject
    chain = steps(values["links"])
    width = max((len(step.name) for step in chain), default=0)
    return [
        f"{of}: {found}. {means}",
        *(f"  {step.name.ljust(width)}  {step.counted}" for step in chain),
        f"real samples: {in_words(audit.samples) or 'they could not be read'}",
        *(line for verdict in VERDICTS[:2] for line in _told(values["links"], verdict)),
    ]


def _told(links: Sequence[Mapping[str, str]], verdict: str) -> Iterator[str]:
    """Yield the links with a verdict and what to do about them; the page has those beyond SHOWN."""
    some = [link for link in links if link["verdict"] == verdict]
    for link in some[:SHOWN]:
        yield f"{verdict}: {link['name']}: {link['found']}"
        if link["remedy"]:
            yield f"  what to do: {link['remedy']}"
    if len(some) > SHOWN:
        yield f"{verdict}: {len(some) - SHOWN} more"
