"""What fits into the time there is: arms, and rounds (repeats of the folds, or seeds) of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Plan(Generic[Item]):
    """What is done, and a sentence on each thing that is left out."""

    arms: Sequence[Item]
    rounds: int
    left_out: Sequence[str]


def fit(
    arms: Sequence[Item],
    rounds: int,
    round_name: str,
    least_rounds: int,
    first_seconds: float,
    budget_minutes: float,
    cost: Callable[[Sequence[Item]], float] = len,
) -> Plan[Item]:
    """Return as many `arms`, each of so many `rounds`, as fit: a round of the first arm takes `first_seconds`.

    cost: how many times as long a round of all these arms takes; by default each as long as the first. Rounds beyond
    `least_rounds` go first, then arms, the last ones first, down to two; then rounds down to one. A budget of 0 has no
    limit. The last that is left is done whatever it takes.
    """
    kept, number = list(arms), rounds
    while budget_minutes and cost(kept) * number * first_seconds > 60 * budget_minutes:
        if number > least_rounds:
            number -= 1
        elif len(kept) > 2:
            kept.pop()
        elif number > 1:
            number -= 1
        else:
            break
    why = f"over the budget of {budget_minutes:g} minutes (one {round_name} of {arms[0]} takes {first_seconds:.0f} s)"
    gone = [f"arm {arm}: {why}" for arm in arms[len(kept) :]]
    if number < rounds:
        gone.append(f"{rounds - number} of {rounds} {round_name}s: {why}")
    return Plan(kept, number, gone)
