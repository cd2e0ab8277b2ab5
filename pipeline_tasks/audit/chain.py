"""The chain from a registered version back to its raw samples: links, and the verdict on each."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["ok", "broken", "unchecked"]
NAMED = 10
"""Items that a sentence names; the others are counted."""
RESTORE = "push it again from a clone that has it (`dvc push`), or bring the remote's backup back"
"""What to do about an object that the remote has lost."""


@dataclass(frozen=True)
class Link:
    """One link of the chain, as it was found.

    name: what was looked at. verdict: `unchecked` where nothing could be looked at here, which is no fault of the
    version. found: a sentence of what was found. remedy: what to do where it is broken or unchecked, else "".
    """

    name: str
    verdict: Verdict
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Audit:
    """What became of the audit of a version.

    subject: what was asked for. number: of its release, if it is one. revision: the git commit that keeps its lock.
    samples: by product, the real samples that it depends on, as lineage.json names them.
    """

    subject: str
    version: str
    number: int | None
    revision: str
    links: Sequence[Link]
    samples: Mapping[str, Sequence[Mapping[str, Any]]]

    @property
    def broken(self) -> list[Link]:
        """The links that do not hold."""
        return [link for link in self.links if link.verdict == "broken"]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return asdict(self) | {"intact": not self.broken}


def some(found: Sequence[str], separator: str = "; ") -> str:
    """Return the first NAMED of what was found, and how many more there are."""
    more = f"{separator}and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return separator.join(found[:NAMED]) + more
