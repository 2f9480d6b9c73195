"""What is never negative in a program, whatever its inputs: squares, norms, spectra of Gram matrices.

Balls forget this: the ball of a number that is zero but not rational reaches below zero, where its square
root is undefined.  Nonnegative means: no entry of the result is ever negative; semidefinite: the result is a
symmetric matrix without negative eigenvalues.
"""

from __future__ import annotations

from proofs_checks.audit.core import Clock
from proofs_checks.audit.program import Program, Step

ALWAYS = ("abs", "sqrt", "exp", "acos", "relu", "step", "pi", "singular_values")
# nonnegative where all arguments are
KEEP = (
    *(
        "add",
        "mul",
        "div",
        "min",
        "matmul",
        "sum",
        "amax",
        "amin",
        "reshape",
        "transpose",
        "gather",
    ),
    *("concatenate", "expm1", "log1p", "tanh", "sign"),
)


def nonnegative(program: Program, clock: Clock) -> list[bool]:
    """For every instruction, whether its result is shown to be nonnegative."""
    signs: list[bool] = []
    forms: list[bool] = []
    for it in program.steps:
        clock.tick()
        signs.append(_nonnegative(it, signs, forms))
        forms.append(_semidefinite(it, program.steps, signs, forms))
    return signs


def _nonnegative(it: Step, signs: list[bool], forms: list[bool]) -> bool:
    if it.op in ALWAYS:
        return True
    if it.op == "constant":
        return all(x >= 0 for x in it.data)
    if it.op == "power":  # where it is defined: a fractional power has no negative base
        return it.data.q != 1 or it.data.p % 2 == 0 or signs[it.args[0]]
    if it.op == "eigenvalues":
        return forms[it.args[0]]
    if it.op == "max":
        return any(signs[a] for a in it.args)
    if it.op == "mul" and it.args[0] == it.args[1]:
        return True
    return it.op in KEEP and all(signs[a] for a in it.args)


def _semidefinite(it: Step, steps: list[Step], signs: list[bool], forms: list[bool]) -> bool:
    if it.op == "matmul":
        a, b = it.args
        return any(
            steps[q].op == "transpose" and steps[q].args == (p,) for p, q in ((a, b), (b, a))
        )
    if it.op == "transpose":
        return forms[it.args[0]]
    if it.op == "add":
        return all(forms[a] and steps[a].shape == it.shape for a in it.args)
    if it.op in ("mul", "div"):  # by a number
        a, b = it.args
        own = forms[a] and steps[a].shape == it.shape and steps[b].shape == () and signs[b]
        return own or (it.op == "mul" and forms[b] and steps[a].shape == () and signs[a])
    return False
