"""The state of an unfinished training as flat tensors, so that it resumes to the bit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline_tasks.diffusion.checkpoints import Checkpoints

if TYPE_CHECKING:
    from diffusers.training_utils import EMAModel


@dataclass(frozen=True)
class TrainingState:
    """What changes while training: weights by name, AdamW's moments of them, their average if any, every loss.

    judged: losses of the averaged weights on what is not learned from, if it is measured; best: the weights of the
    lowest.
    """

    weights: Mapping[str, torch.nn.Parameter]
    optimizer: torch.optim.Optimizer
    average: "EMAModel | None"
    losses: Tensor
    judged: list[float] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def begin(
        cls, weights: Mapping[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer, ema_decay: float, steps: int
    ) -> "TrainingState":
        """Return the state before the first of `steps` steps; an `ema_decay` of 0 keeps no average."""
        from diffusers.training_utils import EMAModel

        average = EMAModel(weights.values(), decay=ema_decay, foreach=True) if ema_decay else None
        return cls(weights, optimizer, average, torch.zeros(steps, device=next(iter(weights.values())).device))

    def follow(self) -> None:
        """Let the average follow the weights by a step."""
        if self.average:
            self.average.step(self.weights.values())

    def judge(self, measure: Callable[[], float]) -> None:
        """Measure the average of the weights, or, where none is kept, the weights; keep it if it is the best so far."""
        if self.average:
            self.average.store(self.weights.values())
            self.average.copy_to(self.weights.values())
        self.judged.append(measure())
        if not self.best or self.judged[-1] == min(self.judged):
            self.best.update({name: weight.detach().clone() for name, weight in self.weights.items()})
        if self.average:
            self.average.restore(self.weights.values())

    @torch.no_grad()
    def finish(self, steps: int) -> list[float]:
        """Leave the best weights, if measured, else their average, if any; return the losses of `steps` steps."""
        if self.best:
            for name, weight in self.weights.items():
                weight.copy_(self.best[name])
        elif self.average:
            self.average.copy_to(self.weights.values())
        losses: list[float] = self.losses[:steps].tolist()
        return losses

    def resume(self, checkpoints: Checkpoints) -> int:
        """Take over the newest checkpoint, if there is one, and return after how many steps it was made."""
        saved = checkpoints.load()
        return self.restore(saved) if saved else 0

    def tensors(self, steps: int) -> dict[str, Tensor]:
        """Return the state after `steps` steps, on the CPU."""
        state = {"losses": self.losses[:steps]}
        for name, weight in self.weights.items():
            moments = self.optimizer.state[weight]
            state |= {f"weight.{name}": weight.detach()}
            state |= {f"first.{name}": moments["exp_avg"], f"second.{name}": moments["exp_avg_sq"]}
        if self.average:
            state |= {f"average.{name}": value for name, value in self._averages()}
        if self.judged:
            state |= {"judged": torch.tensor(self.judged, dtype=torch.float64)}
            state |= {f"best.{name}": value for name, value in self.best.items()}
        return {name: value.cpu().contiguous() for name, value in state.items()}

    @torch.no_grad()
    def restore(self, state: dict[str, Tensor]) -> int:
        """Take over what `tensors` returned, and return after how many steps that was."""
        steps = len(state["losses"])
        self.losses[:steps] = state["losses"]
        for name, weight in self.weights.items():
            weight.copy_(state[f"weight.{name}"])
            self.optimizer.state[weight] = {
                "step": torch.tensor(float(steps)),
                "exp_avg": torch.empty_like(weight).copy_(state[f"first.{name}"]),
                "exp_avg_sq": torch.empty_like(weight).copy_(state[f"second.{name}"]),
            }
        if self.average:
            self.average.optimization_step = steps
            for name, value in self._averages():
                value.copy_(state[f"average.{name}"])
        if "judged" in state:
            self.judged[:] = state["judged"].tolist()
            self.best.update(
                {name: torch.empty_like(w).copy_(state[f"best.{name}"]) for name, w in self.weights.items()}
            )
        return steps

    def _averages(self) -> list[tuple[str, Tensor]]:
        return [*zip(self.weights, self.average.shadow_params, strict=True)] if self.average else []
