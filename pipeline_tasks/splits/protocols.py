"""How many samples of a defect are base, and which: protocols by name (METHODS section 5)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pipeline_tasks.params import Ingest, ProtocolName
from pipeline_tasks.seeds import derive_seed

MOST_BASE = 30
"""No protocol learns from more real images of a defect than this (METHODS section 0)."""
Rank = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Protocol:
    """`count`: base samples of so many; they have the lowest names, or are drawn at random."""

    count: Callable[[int], int]
    at_random: bool = False

    def base_count(self, samples: int) -> int:
        """Return how many of a defect's `samples` are base: at least one, at most MOST_BASE."""
        return min(MOST_BASE, max(1, self.count(samples)), samples)


def _third(samples: int) -> int:
    return samples // 3


PROTOCOLS: Mapping[ProtocolName, Protocol] = {
    "few-shot-10": Protocol(lambda samples: min(10, _third(samples))),
    "deepcrack-localization": Protocol(_third),  # DefectSynth V-A.2, "lowest 1/3 by ID": 7 of 21
    "mvtec-localization": Protocol(_third),  # the same: 2 to 10 images
    "gdxray-localization": Protocol(lambda _: 5),  # the same: 5, and 10 to test on
    "mvtec-classification": Protocol(_third, at_random=True),  # DefectSynth V-A.2: three partitions
    "half-split": Protocol(lambda samples: samples // 2, at_random=True),  # DefectDiffu
    "three-shot": Protocol(lambda _: 3, at_random=True),  # CAGen 4: three of each defect, randomly selected
}


@dataclass(frozen=True, slots=True)
class Scheme:
    """A protocol by name and, if it draws at random, the number of the draw."""

    name: ProtocolName
    draw: int = 0

    @classmethod
    def of(cls, params: Ingest) -> "Scheme":
        """Return what the parameters ask for."""
        return cls(params.protocol, params.draw if PROTOCOLS[params.protocol].at_random else 0)

    @classmethod
    def read(cls, text: str) -> "Scheme":
        """Return the scheme that `str` wrote. Raises ValueError for another text."""
        for name, protocol in PROTOCOLS.items():
            draw = text.removeprefix(f"{name} draw ")
            if text == name and not protocol.at_random:
                return cls(name)
            if protocol.at_random and draw != text and draw.isdecimal():
                return cls(name, int(draw))
        raise ValueError(f"'{text}' is no protocol")

    def __str__(self) -> str:
        return f"{self.name} draw {self.draw}" if PROTOCOLS[self.name].at_random else self.name

    def rank(self, defect: str, source_path: str) -> Rank:
        """Return what the samples of a defect are ordered by: the first ones become base.

        A draw's numbers come from the names alone, so that one sample more or less changes no other's.
        """
        drawn = PROTOCOLS[self.name].at_random
        return derive_seed(self.draw, defect, source_path) if drawn else 0, source_path

    def base_of(self, defect: str, samples: int, candidates: Iterable[str]) -> list[str]:
        """Return the source_paths of base by name alone: of a defect with so many samples, the first `candidates`."""
        ranked = sorted(candidates, key=lambda path: self.rank(defect, path))
        return ranked[: PROTOCOLS[self.name].base_count(samples)]
