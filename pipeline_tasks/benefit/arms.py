"""What detectors are trained on: arms, always side by side (METHODS section 5)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from pipeline_tasks.benefit_params import ARM, INCUMBENT
from pipeline_tasks.detectors.policies import Policy

REAL = "real"
PASTE = "paste"
CHOSEN = "chosen"
"""The arm that trains each defect as the choice says."""


@dataclass(frozen=True, slots=True)
class Arm:
    """Real images and, at a share of `percent` of the defect windows, defects from `source`; augmented by `policy`.

    percent: 0 for real images alone, 100 for synthetic ones alone.
    """

    source: str
    percent: int
    policy: Policy

    @classmethod
    def read(cls, name: str, generator: str) -> "Arm":
        """Return the arm spelled `name`, where 'generator' stands for the backend of that name.

        Without a policy, real images are not augmented and synthetic ones are flipped. Raises ValueError for
        another spelling.
        """
        own = name.removeprefix(f"{generator}_")
        found = re.match(ARM, name if own == name else f"generator_{own}")
        if not found:
            raise ValueError(f"'{name}' is no arm; spell it source_percent_policy, such as {INCUMBENT} or paste_50")
        whole, source, percent, policy = found[1], found[2], found[3], found[5]
        if whole == REAL:
            return cls(REAL, 0, cast(Policy, policy or "none"))
        return cls(generator if source == "generator" else source, int(percent), cast(Policy, policy or "flip"))

    @property
    def is_real(self) -> bool:
        """Whether it learns from real images alone."""
        return self.source == REAL

    @property
    def ratio(self) -> float:
        """Return the synthetic share of its defect windows, 0..1."""
        return self.percent / 100

    def __str__(self) -> str:
        share = "" if self.is_real else f"_{self.percent}"
        usual = "none" if self.is_real else "flip"
        return f"{self.source}{share}{'' if self.policy == usual else f'_{self.policy}'}"


Recipe = Mapping[str, Arm]
"""What each defect is trained with."""


def read_arms(names: Iterable[str], generator: str) -> list[Arm]:
    """Return the arms spelled `names`, in their order, each once: `generator` may be paste, which is an arm itself."""
    return list(dict.fromkeys(Arm.read(name, generator) for name in names))


def sources(arms: Iterable[Arm]) -> list[str]:
    """Return the sources of synthetic defects among `arms`, in their order."""
    return list(dict.fromkeys(arm.source for arm in arms if not arm.is_real))
