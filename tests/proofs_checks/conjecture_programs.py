"""Random programs on random inputs, for comparing the interpreters with each other."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from theory import array_functions as ops
from theory.errors import LemmataError
from theory.program import Instruction
from theory.tracing import Array, Recorder

UNARY = ("neg", "abs", "sqrt", "exp", "expm1", "log", "log1p", "tanh", "sin", "cos", "acos")
STEPS = ("relu", "step", "sign")
BINARY = ("add", "sub", "mul", "div", "max", "min")
EXPONENTS = ("2", "3", "-1", "1/2", "3/2", "-1/2", "1/3", "0", "5", "-2", "-2/3", "4/3")
SHAPES = {"A": (2, 3), "B": (3, 2), "S": (3, 3), "x": (3,), "c": ()}


def program(seed: int, steps: int = 14) -> tuple[Instruction, ...]:
    """The instructions of a random program; the same for the same seed."""
    rnd = random.Random(seed)
    with Recorder() as recorder:
        pool = [recorder.input(name, shape) for name, shape in SHAPES.items()]
        pool.append(ops.array([rnd.choice([0, 1, 2, -1, 0.5, Fraction(1, 3)]) for _ in range(3)]))
        for _ in range(steps):
            try:
                pool.append(_step(rnd, recorder, pool))
            except LemmataError:  # operands that do not fit
                continue
        return recorder.program([("", pool[-1] <= 0)]).instructions


def _step(rnd: random.Random, recorder: Recorder, pool: list[Array]) -> Array:
    a = rnd.choice(pool[-8:] if rnd.random() < 0.7 else pool)
    b = rnd.choice(pool)
    choices = {
        "function": lambda: recorder.add(rnd.choice(UNARY + STEPS), (a,)),
        "binary": lambda: recorder.add(
            rnd.choice(BINARY), (a, b) if rnd.random() < 0.5 else (b, a)
        ),
        "square": lambda: a * a,
        "power": lambda: a ** Fraction(rnd.choice(EXPONENTS)),
        "reduce": lambda: recorder.add(
            rnd.choice(("sum", "amax", "amin")), (a,), {"axis": rnd.randrange(max(a.ndim, 1))}
        ),
        "matmul": lambda: a @ b,
        "gram": lambda: a.T @ a if a.ndim == 2 else a @ a,
        "reverse": lambda: a[::-1],
        "transpose": lambda: a.T,
        "eigenvalues": lambda: ops.eigenvalues(a),
        "singular values": lambda: ops.singular_values(a),
    }
    weights = (30, 25, 5, 7, 7, 6, 4, 4, 4, 4, 4)
    return rnd.choices(list(choices.values()), weights)[0]()


def inputs(seed: int, count: int = 6) -> dict[str, NDArray[np.float64]]:
    """Small integers, all scales, zeros and matrices of (nearly) low rank."""
    rng = np.random.default_rng(seed)
    return {
        name: np.stack([_array(rng, shape) for _ in range(count)]) for name, shape in SHAPES.items()
    }


def _array(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    a = np.asarray(rng.standard_normal(shape))
    kind = rng.integers(8)
    if kind < 3:
        return np.asarray(rng.integers(-2, 3, shape), dtype=float)
    if kind == 3:
        return a * 10.0 ** rng.integers(-12, 12)
    if kind == 4:
        return a * 10.0 ** rng.integers(-300, 300)
    if kind == 5:
        return np.where(rng.random(shape) < 0.5, 0.0, a)
    if kind == 6 and len(shape) == 2:
        low_rank = np.outer(rng.standard_normal(shape[0]), rng.standard_normal(shape[1]))
        return low_rank + rng.choice([0.0, 1e-9]) * a
    return a * 10.0 ** rng.integers(-320, -290) if kind == 7 else a
