"""Straight-line programs on batches of float64 values, differentiable.

The instructions are those of `theory.program`; they are read by their attributes alone. Where a function is undefined
the value is NaN. Gradients are finite where the values are: at the kinks of norms, roots and maxima one element of the
subdifferential is taken, 0 at the apex of a norm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from numerics.errors import NumericsError
from numerics.program_signs import Instruction

if TYPE_CHECKING:
    import torch

Float: TypeAlias = NDArray[np.float64]
Oracle: TypeAlias = Callable[
    [Mapping[str, Any], list[tuple[Float, Float]]], tuple[NDArray[Any], NDArray[Any]]
]


def values(
    instructions: Sequence[Instruction],
    inputs: Mapping[str, Float],
    wanted: Sequence[int],
    *,
    oracles: Mapping[str, Oracle] | None = None,
) -> dict[int, Float]:
    """The values of some instructions on a batch, without error bounds.

    Args:
        instructions: see `theory.program.Program.instructions`.
        inputs: name -> (B, *shape).
        wanted: numbers of instructions.
        oracles: kind -> function of parameters and of (values, error bounds) of the arguments, (B, *shape) each.

    Returns:
        Number -> (B, *shape); NaN where undefined.

    Raises:
        NumericsError: a missing or mis-shaped input, an unknown operator or oracle.
    """
    import torch

    with torch.no_grad():
        given = {k: torch.as_tensor(np.asarray(v, dtype=np.float64)) for k, v in inputs.items()}
        found = tensors(instructions, given, wanted, oracles=oracles)
        return {k: v.contiguous().numpy() for k, v in found.items()}


def tensors(
    instructions: Sequence[Instruction],
    inputs: Mapping[str, torch.Tensor],
    wanted: Sequence[int],
    *,
    oracles: Mapping[str, Oracle] | None = None,
) -> dict[int, torch.Tensor]:
    """`values` on tensors: the results have gradients, except through oracles, whose results are constants.

    Raises:
        NumericsError: as `values`.
    """
    import torch

    batch = batch_size({k: tuple(v.shape) for k, v in inputs.items()}, instructions)
    at: dict[int, torch.Tensor] = {}
    for k in needed(instructions, wanted):
        i = instructions[k]
        args = [at[a] for a in i.args]
        if i.op == "input":
            # the batch comes last: entry-wise operations broadcast as the program says, and run along the batch
            at[k] = inputs[i.attributes["name"]].to(torch.float64).movedim(0, -1).contiguous()
        elif i.op == "oracle":
            at[k] = _ask(i, args, batch, oracles or {})
        else:
            at[k] = _apply(i, args)
    return {k: at[k].expand(*instructions[k].shape, batch).movedim(-1, 0) for k in wanted}


def needed(instructions: Sequence[Instruction], wanted: Sequence[int]) -> list[int]:
    """The instructions on which those wanted depend, in order."""
    seen: set[int] = set()
    stack = list(wanted)
    while stack:
        k = stack.pop()
        if k not in seen:
            seen.add(k)
            stack.extend(instructions[k].args)
    return sorted(seen)


def batch_size(
    inputs: Mapping[str, tuple[int, ...]], instructions: Sequence[Instruction] = ()
) -> int:
    """B, of inputs whose shapes are checked.

    Raises:
        NumericsError: an input that is missing, or has another shape.
    """
    for i in instructions:
        if i.op == "input":
            name, shape = i.attributes["name"], inputs.get(i.attributes["name"])
            if shape is None:
                raise NumericsError(f"the input {name!r} is missing: give its values")
            if shape[1:] != i.shape:
                raise NumericsError(
                    f"the input {name!r} has shape {shape}: give (batch, *{i.shape})"
                )
    sizes = {shape[:1] for shape in inputs.values()}
    if len(sizes) > 1 or () in sizes:
        raise NumericsError("inputs of different batch sizes: the first axis is the batch")
    return sizes.pop()[0] if sizes else 1


def oracle_of(i: Instruction, oracles: Mapping[str, Oracle]) -> Oracle:
    """The function that measures what an instruction asks for.

    Raises:
        NumericsError: there is none of this kind.
    """
    kind = i.attributes["kind"]
    if kind not in oracles:
        raise NumericsError(
            f"the oracle {kind!r} is not available here: pass it with oracles={{{kind!r}: ...}}"
        )
    return oracles[kind]


def _ask(
    i: Instruction, args: Sequence[torch.Tensor], batch: int, oracles: Mapping[str, Oracle]
) -> torch.Tensor:
    import torch

    given = []
    for a in args:
        mid = a.detach().expand(*a.shape[:-1], batch).movedim(-1, 0).contiguous().numpy()
        given.append((mid, np.zeros_like(mid)))
    mid, _ = oracle_of(i, oracles)(i.attributes["parameters"], given)
    out = np.broadcast_to(np.asarray(mid, dtype=np.float64), (batch, *i.shape))
    return torch.as_tensor(out.copy()).movedim(0, -1).contiguous()


def _apply(i: Instruction, args: list[torch.Tensor]) -> torch.Tensor:
    import torch

    op = i.op
    if op in _PLAIN:
        return _torch(_PLAIN[op])(*args)
    if op == "constant":
        flat = [_float(v) for v in i.attributes["values"]]
        return torch.tensor(flat, dtype=torch.float64).reshape(*i.shape, 1)
    if op == "pi":
        return torch.full((1,), math.pi, dtype=torch.float64)
    if op == "power":
        return _power(args[0], Fraction(i.attributes["exponent"]))
    if op in _REDUCTIONS:
        return _torch(_REDUCTIONS[op])(args[0], dim=i.attributes["axis"])
    if op == "matmul":
        return _matmul(*args)
    if op in ("reshape", "gather", "concatenate"):
        width = max((a.shape[-1] for a in args), default=1)
        flat_args = [a.reshape(-1, a.shape[-1]).expand(-1, width) for a in args]
        joined = torch.cat(flat_args) if flat_args else torch.zeros(0, 1, dtype=torch.float64)
        if op == "gather":
            joined = joined[torch.tensor(i.attributes["indices"], dtype=torch.long)]
        return joined.reshape(*i.shape, joined.shape[-1])
    if op == "transpose":
        return args[0].transpose(0, 1)
    if op in _SAFE:
        safe: torch.Tensor = _SAFE[op](*args)
        return safe
    if op in ("eigenvalues", "singular_values"):
        return _spectrum(op, args[0])
    raise NumericsError(f"unknown operator {op!r}: use those of theory.program")


_PLAIN = {
    **{op: op for op in ("add", "sub", "mul", "neg", "abs", "exp", "expm1", "tanh")},
    **{"sin": "sin", "cos": "cos", "sign": "sign", "relu": "relu"},
    **{"max": "maximum", "min": "minimum"},
}
_REDUCTIONS = {"sum": "sum", "amax": "amax", "amin": "amin"}


def _torch(name: str) -> Callable[..., torch.Tensor]:
    import torch

    found: Callable[..., torch.Tensor] = getattr(torch, name)
    return found


def _float(text: Any) -> float:
    """Rounded; ±inf beyond the floats."""
    exact = Fraction(text)
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def _matmul(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """(n, k, B) times (k, m, B)."""
    if a.shape[1] <= 16:  # passes along the batch are faster than many small products
        if not a.shape[1]:
            return a.new_zeros(a.shape[0], b.shape[1], 1)
        out = a[:, 0, None] * b[0]
        for k in range(1, a.shape[1]):
            out = out + a[:, k, None] * b[k]
        return out
    return (a.movedim(-1, 0) @ b.movedim(-1, 0)).movedim(0, -1).contiguous()


def _guarded(
    f: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    smooth: torch.Tensor,
    otherwise: torch.Tensor | float,
    harmless: float = 1.0,
) -> torch.Tensor:
    """f where it is smooth, elsewhere a value without gradient: infinity times 0 would be NaN in the backward pass."""
    import torch

    safe = torch.where(smooth, x, harmless)
    edge = torch.as_tensor(otherwise, dtype=x.dtype)
    return torch.where(smooth, f(safe), edge)


def _edge(x: torch.Tensor, at: float) -> torch.Tensor:
    """``at`` where x = 0, NaN elsewhere."""
    import torch

    return torch.where(x.detach() == 0, at, math.nan)


def _sqrt(x: torch.Tensor) -> torch.Tensor:
    import torch

    return _guarded(torch.sqrt, x, x > 0, _edge(x, 0.0))


def _log(x: torch.Tensor) -> torch.Tensor:
    import torch

    return _guarded(torch.log, x, x > 0, math.nan)


def _log1p(x: torch.Tensor) -> torch.Tensor:
    import torch

    return _guarded(torch.log1p, x, x > -1, math.nan)


def _acos(x: torch.Tensor) -> torch.Tensor:
    import torch

    edge = torch.acos(x.detach())  # 0 and π at the ends, NaN outside
    return _guarded(torch.acos, x, x.abs() < 1, edge, harmless=0.0)


def _div(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    import torch

    regular = b != 0
    out = a / torch.where(regular, b, torch.ones_like(b))
    return torch.where(regular, out, math.nan)


def _step(x: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.where(x.isnan(), x, (x > 0).to(x.dtype)).detach()


_SAFE: dict[str, Callable[..., Any]] = {
    "sqrt": _sqrt,
    "log": _log,
    "log1p": _log1p,
    "acos": _acos,
    "div": _div,
    "step": _step,
}


def _power(x: torch.Tensor, q: Fraction) -> torch.Tensor:
    if q.denominator == 1 and q >= 0:
        return x ** int(q)
    edge = _edge(x, 0.0 if q > 0 else math.nan)
    smooth = (x != 0) if q.denominator == 1 else (x > 0)
    if q == Fraction(1, 2):
        return _sqrt(x)
    return _guarded(lambda y: y ** float(q), x, smooth, edge)


def _spectrum(op: str, a: torch.Tensor) -> torch.Tensor:
    """LAPACK's values; their gradients need the vectors alone, so that ties do no harm."""
    import torch

    matrices = a.movedim(-1, 0).contiguous()
    fine = matrices.isfinite().all(-1).all(-1)
    matrices = torch.where(fine[:, None, None], matrices, torch.zeros_like(matrices))
    if op == "eigenvalues":
        # halves first: the sum may overflow
        found = torch.linalg.eigvalsh(matrices / 2 + matrices.transpose(1, 2) / 2)
    else:
        found = torch.linalg.svdvals(matrices)
    found = torch.where(fine[:, None], found, math.nan)
    return found.movedim(0, -1).contiguous()
