"""Killing work in the middle, and counting what is done."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
from torch import Tensor


class Killed(BaseException):
    """Stands for a kill: no handler of ordinary exceptions may swallow it."""


@contextmanager
def counted(module: ModuleType, name: str) -> Iterator[list[str]]:
    """Yield a list that grows by one with every call of the function `name` of `module`."""
    calls: list[str] = []
    original = getattr(module, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return original(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, call)
        yield calls


@contextmanager
def killed_at(call: int, module: ModuleType, name: str) -> Iterator[None]:
    """Kill what runs inside as it makes its `call`-th call, from 1, of the function `name` of `module`; it must."""
    original, before = getattr(module, name), iter(range(1, call))

    def kill(*args: Any, **kwargs: Any) -> Any:
        if next(before, None) is None:
            raise Killed
        return original(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(module, name, kill)
        yield


class Memory:
    """`Checkpoints` that keeps every state."""

    def __init__(self) -> None:
        self.states: list[dict[str, Tensor]] = []

    def load(self) -> dict[str, Tensor] | None:
        """Return the newest state, if there is one."""
        return self.states[-1] if self.states else None

    def save(self, state: dict[str, Tensor]) -> None:
        """Keep a copy: training goes on in the same tensors."""
        self.states.append({name: value.clone() for name, value in state.items()})
