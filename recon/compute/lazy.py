"""Sequences whose items are read or computed each time they are asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, overload

T = TypeVar("T")


@dataclass(frozen=True)
class LazySequence(Sequence[T], Generic[T]):
    """Items that are made when they are asked for, each time anew; none is kept."""

    load: Callable[[int], T]
    """Makes the item of an index."""
    indices: Sequence[int]

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return LazySequence(self.load, self.indices[index])
        return self.load(self.indices[index])
