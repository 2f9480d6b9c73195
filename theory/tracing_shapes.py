"""The shape of traced arrays, and what changes it: methods with numpy's names and meanings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Self

from theory.errors import LemmataError
from theory.program import Shape


class TraceError(LemmataError):
    """Something was asked of a traced array that a program cannot express."""


def frozen(value: Any) -> Any:
    """Attributes of an instruction as something that can be looked up."""
    if isinstance(value, Mapping):
        return tuple((k, frozen(v)) for k, v in sorted(value.items()))
    if isinstance(value, list | tuple):
        return tuple(frozen(v) for v in value)
    return value


def reduce(op: str, a: Any, axis: int | None) -> Any:
    """``sum``, ``amax`` or ``amin`` over one axis, or over all entries."""
    if axis is None:
        flat = a.reshape(a.size) if a.ndim != 1 else a
        return a.recorder.add(op, (flat,), {"axis": 0})
    if not isinstance(axis, int) or not -a.ndim <= axis < a.ndim:
        raise TraceError(f"axis {axis!r} of an array of shape {a.shape}")
    return a.recorder.add(op, (a,), {"axis": axis % a.ndim})


class Shaped:
    """What `theory.tracing.Array` can do with its shape; every method adds an instruction or none."""

    __slots__ = ()
    recorder: Any
    number: int
    shape: Shape

    # shape
    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)

    @property
    def T(self) -> Self:
        """The transposed matrix; vectors and numbers are themselves."""
        return self.transpose()

    def transpose(self) -> Self:
        """The transposed matrix; vectors and numbers are themselves."""
        if self.ndim < 2:
            return self
        return self.recorder.add("transpose", (self,))

    def reshape(self, *shape: Any) -> Self:
        """Row-major; one length may be -1."""
        wanted = list(shape[0] if len(shape) == 1 and isinstance(shape[0], list | tuple) else shape)
        if wanted.count(-1) == 1:
            rest = math.prod(s for s in wanted if s != -1)
            wanted[wanted.index(-1)] = self.size // rest if rest else 0
        if tuple(wanted) == self.shape:
            return self
        return self.recorder.add("reshape", (self,), {"shape": [int(s) for s in wanted]})

    def ravel(self) -> Self:
        """As a vector."""
        return self.reshape(self.size)

    flatten = ravel

    def __len__(self) -> int:
        if not self.shape:
            raise TraceError("a number has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Self]:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, key: Any) -> Self:
        from theory.indexing import positions

        shape, indices = positions(self.shape, key)
        return self.recorder.add(
            "gather", (self,), {"shape": list(shape), "indices": list(indices)}
        )

    # reductions
    def sum(self, axis: int | None = None) -> Self:
        """Over one axis, or all entries."""
        return reduce("sum", self, axis)

    def max(self, axis: int | None = None) -> Self:
        """Over one axis, or all entries."""
        return reduce("amax", self, axis)

    def min(self, axis: int | None = None) -> Self:
        """Over one axis, or all entries."""
        return reduce("amin", self, axis)

    def mean(self, axis: int | None = None) -> Self:
        """Over one axis, or all entries."""
        count = self.size if axis is None else self.shape[axis]
        total: Any = self.sum(axis)
        return total / count

    def trace(self) -> Self:
        """The sum of the diagonal."""
        return self.diagonal().sum()

    def diagonal(self) -> Self:
        """The diagonal of a matrix, a vector."""
        if self.ndim != 2:
            raise TraceError(f"a diagonal belongs to a matrix, not to shape {self.shape}")
        rows, columns = self.shape
        indices = [k * columns + k for k in range(min(rows, columns))]
        return self.recorder.add("gather", (self,), {"shape": [len(indices)], "indices": indices})

    # a number is never changed in numpy either, and an array would change for all who hold it
    def __iadd__(self, other: Any) -> Any:
        return self._unshared() + other

    def __isub__(self, other: Any) -> Any:
        return self._unshared() - other

    def __imul__(self, other: Any) -> Any:
        return self._unshared() * other

    def __itruediv__(self, other: Any) -> Any:
        return self._unshared() / other

    def __ipow__(self, other: Any) -> Any:
        return self._unshared() ** other

    def __imatmul__(self, other: Any) -> Any:
        return self._unshared() @ other

    def _unshared(self) -> Any:
        if self.ndim:
            raise TraceError(
                "an array of a case is never changed: write a = a + b in place of a += b"
            )
        return self

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TraceError(
            "an array of a case is never changed: build another one with lemmata.ops.stack or concatenate"
        )
