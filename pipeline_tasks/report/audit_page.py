"""The page of an audit: one file that needs no other, for those who must know whether a version can be relied on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline_tasks.report.templates import fill
from pipeline_tasks.report.words import joined
from pipeline_tasks.schema import GOOD

Link = Mapping[str, str]
"""A link of the chain as the JSON values of audit/chain.py have it: name, verdict, found, remedy."""
VERDICTS = ("broken", "unchecked", "ok")
"""The worst first."""
SHOWN = 8
"""Broken or unchecked links that are told at once; further ones unfold."""
STEPS = {
    "MLflow": (("MLflow", "defectline-"), "what is registered names this version, and its files are as they were"),
    "git tag": (("git tag", "the release "), "the releases' tags stand where they were put"),
    "git commit": (("git commit",), "the history of the repository holds the version's lock"),
    "lineage.json": (("lineage.json",), "the record of what the version is made of"),
    "remote objects": (("objects ",), "every byte of every output"),
    "stages": (("stage ",), "each stage read what the stages before it made, and what git keeps"),
    "samples": (("samples ",), "the real samples, as they were read"),
    "pairs": (("rows ",), "what each pair names exists, and its seal is whole"),
    "code": (("code ",), "the code that made the pairs"),
    "raw samples": (("raw ",), "the files that the samples were read from"),
    "pairs made again": (("pair ", "pairs "), "a few pairs, made again from what is recorded of them"),
}
"""The steps of the chain from MLflow to the pixels: how the names of their links begin, and what they are about."""
OTHER = "other links"


@dataclass(frozen=True)
class Step:
    """A step of the chain and its links; verdict: the worst of theirs."""

    name: str
    about: str
    links: Sequence[Link]

    @property
    def verdict(self) -> str:
        """The worst verdict among its links."""
        return min((link["verdict"] for link in self.links), key=VERDICTS.index)

    @property
    def counted(self) -> str:
        """How many links it has of each verdict: '2 broken, 3 ok'."""
        counts = Counter(link["verdict"] for link in self.links)
        return ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])


@dataclass(frozen=True)
class Samples:
    """Some real samples of a product that have one role in the version."""

    role: str
    rows: Sequence[Mapping[str, Any]]

    @property
    def defects(self) -> str:
        """How many there are of each defect: '3 pit, 2 stain'; nothing of normal images."""
        counts = Counter(row["defect"] for row in self.rows if row["defect"] != GOOD)
        return ", ".join(f"{number} {defect}" for defect, number in sorted(counts.items()))


def render(audit: Mapping[str, Any], facts: Mapping[str, str] | None = None) -> str:
    """Return the page as HTML, given `Audit.to_json()`. The same values give the same page.

    facts: what else is to stand in its head, each under a short heading.
    """
    links = audit["links"]
    broken, unchecked = ([link for link in links if link["verdict"] == verdict] for verdict in VERDICTS[:2])
    return fill(
        "audit.html",
        audit=audit,
        facts=facts or {},
        verdict=verdict_of(links),
        sentence=sentence(links),
        broken=broken,
        unchecked=unchecked,
        shown=SHOWN,
        steps=steps(links),
        samples={product: roles(rows) for product, rows in audit["samples"].items()},
    )


def verdict_of(links: Sequence[Link]) -> str:
    """Return the worst verdict among the links; `unchecked` without any."""
    return min((link["verdict"] for link in links), key=VERDICTS.index, default="unchecked")


def sentence(links: Sequence[Link]) -> tuple[str, str]:
    """Return what became of the chain, in a few words, and what that means."""
    counts = Counter(link["verdict"] for link in links)
    left = f"{_links(counts['unchecked'])} could not be checked here, which is no fault of the version"
    if not links:
        return "Nothing was checked", "The audit has looked at no link."
    if counts["broken"]:
        means = "Something was changed or lost after the version was made: do not rely on it before that is explained."
        more = f" {left.capitalize()}." if counts["unchecked"] else ""
        return f"{_links(counts['broken'])} of {len(links)} {_are(counts['broken'])} broken", means + more
    if counts["unchecked"]:
        return "The chain holds as far as it could be checked", f"{_links(counts['ok'])} {_hold(counts['ok'])}. {left}."
    return "The chain holds", f"All {len(links)} links that were looked at hold."


def _links(number: int) -> str:
    return "1 link" if number == 1 else f"{number} links"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _hold(number: int) -> str:
    return "holds" if number == 1 else "hold"


def steps(links: Sequence[Link]) -> list[Step]:
    """Return the links by the steps of the chain, in its order; steps that were not looked at are left out."""
    found: dict[str, list[Link]] = {name: [] for name in (*STEPS, OTHER)}
    for link in links:
        found[_step(link["name"])].append(link)
    abouts = {name: about for name, (_, about) in STEPS.items()}
    return [Step(name, abouts.get(name, ""), _worst_first(some)) for name, some in found.items() if some]


def _step(name: str) -> str:
    return next((step for step, (begins, _) in STEPS.items() if name.startswith(begins)), OTHER)


def _worst_first(links: Sequence[Link]) -> list[Link]:
    return sorted(links, key=lambda link: VERDICTS.index(link["verdict"]))


def roles(rows: Sequence[Mapping[str, Any]]) -> list[Samples]:
    """Return a product's samples by what they are in the version, those that it learned from first."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: (row["split"], row["derived_from"] is not None, row["defect"] == GOOD)):
        found.setdefault(_role(row), []).append(row)
    return [Samples(role, some) for role, some in found.items()]


def _role(row: Mapping[str, Any]) -> str:
    if row["derived_from"] is not None:
        return "defect-free counterparts, made from base images"
    kind = "normal images" if row["defect"] == GOOD else "defect images"
    return f"base, learned from: {kind}" if row["split"] == "base" else f"test, only measured on: {kind}"


def in_words(samples: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return how many real samples of each product there are: '21 of plate and 7 of tile'."""
    real = {product: sum(row["derived_from"] is None for row in rows) for product, rows in samples.items()}
    return joined(f"{number} of {product}" for product, number in real.items())
