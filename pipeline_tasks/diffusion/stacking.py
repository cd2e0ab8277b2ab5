"""Dataclasses of tensors, some of them None, made into one."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from torch import Tensor

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def combined(items: Sequence[T], combine: Callable[[list[Tensor]], Tensor]) -> T:
    """Return one such dataclass; each field `combine`s that of all items, and is None where that of the first is."""
    columns = {field.name: [getattr(item, field.name) for item in items] for field in fields(items[0])}
    together: dict[str, Any] = {name: combine(column) for name, column in columns.items() if column[0] is not None}
    return type(items[0])(**together)
