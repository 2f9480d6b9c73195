"""How one method of the benchmark is described to the program that measures it.

A method is prepared for a number of lanes (everything that compiles, imports or allocates happens there and is
accounted as warm-up) and gives back a function that integrates that many lanes at a tolerance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from benchmarks.flows_problem import Array, Task

ATOL = 1e-4  # absolute tolerance over relative tolerance: weights start at about 1e-4


@dataclass(frozen=True)
class Outcome:
    """What a run gives back.

    Args:
        W: (b, h, d) final weights. evaluations: of the field, per lane; None where the method does not count.
        kinks: (b,) numbers of kinks; None where the method does not see them. bound: largest error bound of a
            weight relative to the lane's largest entry; None where there is none. undecided: lanes that say
            themselves that they did not reach the end; their weights are NaN.
    """

    W: Array
    evaluations: float | None = None
    kinks: Any = None
    bound: float | None = None
    undecided: int = 0


Run = Callable[[Task, float], Outcome]  # (lanes as prepared, rtol) -> outcome
Prepare = Callable[[Task, float], Run]  # (the lanes that will be run, end time) -> run


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Args:
        name: of the command line. label: of the table. kind: "across" steps over kinks, "events" stops at each,
            "ours". prepare: see above. single: prepared for one lane and run lane by lane.
        table: tolerances of the table. tolerances: of the work-precision diagram.
    """

    name: str
    label: str
    kind: str
    prepare: Prepare
    single: bool = False
    table: tuple[float, ...] = (1e-8,)
    tolerances: tuple[float, ...] = (1e-4, 1e-6, 1e-8, 1e-10)


MODULES = {
    "scipy": "benchmarks.flows_scipy",
    "torch": "benchmarks.flows_torch",
    "diffrax": "benchmarks.flows_diffrax",
    "numba": "benchmarks.flows_numba",
    "lemmata": "benchmarks.flows_ours",
}
# In the order of the table. Modules are imported where a method runs, never by the program that starts them.
NAMES = (
    "scipy-rk45",
    "scipy-dop853",
    "torch-torchdiffeq",
    "torch-torchode",
    "diffrax-tsit5",
    "diffrax-tsit5-lanes",
    "diffrax-dopri8-lanes",
    "numba-tsit5",
    "scipy-events",
    "diffrax-events",
    "diffrax-events-lanes",
    "lemmata-integrate",
    "lemmata-ensemble",
)


def method(name: str) -> Method:
    """The method of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in NAMES:
        raise ValueError(f"no method {name!r}; there are {', '.join(NAMES)}")
    module = import_module(MODULES[name.split("-")[0]])
    return next(m for m in module.METHODS if m.name == name)
