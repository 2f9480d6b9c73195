"""Kind "conservation law": functions that are constant along all fields of a MODEL (see `model`).

    claim    {"model": MODEL, "laws": [LAW, ...]}, at least one
    inputs   {}
    witness  {}
    LAW      {"polynomial": text, "logarithms": [["p/q", text], ...]}: h = P + Σ c_k log|q_k|

With w_a = (∂_a P) Π q_k + Σ_k c_k (∂_a q_k) Π_{l≠k} q_l, which is Π q_k times ∂_a h, h is constant along
the field F wherever it is defined exactly if the polynomial Σ F_a w_a is zero, and a mere constant
exactly if all w_a are.  Both are decided over the integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from proofs_checks.audit.core import Clock, Rejected, fields
from proofs_checks.audit.model import Model, read_model
from proofs_checks.audit.polynomials import (
    LIMITS,
    ONE,
    Field,
    Meter,
    Polynomial,
    accumulate,
    clean,
    gradient,
    integral,
    rational,
    read,
    times,
)

MAX_LOGARITHMS, SHOWN = 16, 3


@dataclass(frozen=True)
class Law:
    """w over the integers, the q_k as fields {0: q_k}, each up to a number; and the law in words."""

    slopes: Field
    factors: list[Field]
    words: str


def check(claim: Any, inputs: Any, witness: Any, clock: Clock) -> str:
    """The claim in words; raises Rejected if a law is not constant along the flow."""
    data, laws = fields(claim, ("model", "laws"), "claim")
    fields(inputs, (), "inputs")
    fields(witness, (), "witness")
    meter = Meter(clock)
    model = read_model(data, meter)
    found = read_laws(laws, model, meter)
    if not found:
        raise Rejected("a law is needed")
    check_laws(found, model, meter)
    verb = "is" if len(found) == 1 else "are"
    return f"proved: {several(found)} {verb} constant along {flow(data)}"


def read_laws(data: Any, model: Model, meter: Meter) -> list[Law]:
    """Every LAW of the list; none may be a constant."""
    if not isinstance(data, list):
        raise Rejected("laws: not a list")
    meter.fresh()
    return [_law(law, f"law {k}", model, meter) for k, law in enumerate(data, 1)]


def _law(data: Any, what: str, model: Model, meter: Meter) -> Law:
    text, logarithms = fields(data, ("polynomial", "logarithms"), what)
    if not isinstance(logarithms, list):
        raise Rejected(f"{what}: logarithms must be a list")
    if len(logarithms) > MAX_LOGARITHMS:
        raise Rejected(f"{LIMITS}: {what} has more than {MAX_LOGARITHMS} logarithms")
    parts = [(Fraction(1), gradient(read(text, model.names, what, meter), meter))]
    factors: list[Polynomial] = []
    words = [text]
    for pair in logarithms:
        if not isinstance(pair, list) or len(pair) != 2:
            raise Rejected(f"{what}: a logarithm must be a pair ['p/q', polynomial]")
        q = read(pair[1], model.names, what, meter)
        if not q:
            raise Rejected(f"{what}: the logarithm of zero")
        parts.append((rational(pair[0], what), gradient(q, meter)))
        factors.append(q)
        words.append(f"({pair[0]})*log|{pair[1]}|")
    slopes: Field = {}
    for k, (c, part) in enumerate(parts):
        others = ONE
        for j, q in enumerate(factors, 1):
            others = times(others, q, meter) if j != k else others
        for a, slope in part.items():
            accumulate(slopes.setdefault(a, {}), slope, others, meter, c)
    slopes = integral({a: clean(p) for a, p in slopes.items()}, meter)
    if not slopes:
        raise Rejected(f"{what}: {text!a:.60} is a constant")
    whole = [integral({0: q}, meter) for q in factors]
    return Law(slopes, whole, " + ".join(words if text != "0" else words[1:]))


def check_laws(laws: Sequence[Law], model: Model, meter: Meter) -> None:
    """Every law is constant along every field."""
    touched: dict[int, list[tuple[int, Polynomial]]] = {}
    for k, law in enumerate(laws):
        for a, slope in law.slopes.items():
            touched.setdefault(a, []).append((k, slope))
    for index in range(model.count):
        rates: dict[int, Polynomial] = {}
        for a, part in model.field(index, meter).items():
            for k, slope in touched.get(a, []):
                accumulate(rates.setdefault(k, {}), part, slope, meter)
        for k, rate in rates.items():
            if clean(rate):
                raise Rejected(
                    f"law {k + 1}, {laws[k].words!a:.60}, is not constant along field {index} of "
                    f"{model.count} (numbered from 0)"
                )


def several(laws: Sequence[Law]) -> str:
    """The laws in words."""
    shown = "; ".join(_short(law.words, 200) for law in laws[:SHOWN])
    more = f"; and {len(laws) - SHOWN} more" if len(laws) > SHOWN else ""
    return f"{shown}{more}"


def flow(data: Any) -> str:
    """The flows of a MODEL that has been read, in words."""
    phi, over, tau = data["phi"], data["denominators"], data["momentum"]
    names = [
        p if not over or over[i] == "1" else f"({p})/({over[i]})" for i, p in enumerate(phi[:4])
    ]
    shown = ", ".join(_short(name, 60) for name in names) + ", ..." * (len(phi) > 4)
    loss = "every loss of"
    if data["directions"]:
        loss = f"every loss with gradients in the span of {len(data['directions'])} directions, of"
    kind = f"the heavy ball with friction {tau}" if tau else "the gradient flow"
    kind += (
        f" (dot_: velocities, {'s = exp(friction t)' if tau != '0' else 't: time'})" if tau else ""
    )
    kind += f" in a metric with {len(data['metric'])} entries" if data["metric"] else ""
    return f"{kind} of {loss} phi = ({shown}), {len(phi)} functions of {len(data['variables'])} variables"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."
