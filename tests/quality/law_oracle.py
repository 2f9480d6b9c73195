"""Whether a claim about conservation laws is true: recomputed by sympy's rational functions.

Nothing of the kernel or of ``theory`` is used: the fields keep their denominators, and the number of laws is
N - dim Lie, with the whole Lie algebra generated at a random rational point.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Sequence
from functools import cache
from typing import Any

import sympy as sp
from sympy.polys.fields import field as field_of_fractions


class System:
    """The fields of a model over Q(θ), from a certificate's JSON data."""

    def __init__(self, model: dict[str, Any]) -> None:
        theta = model["variables"]
        names = list(theta)
        tau = None if model["momentum"] == "" else sp.Rational(model["momentum"])
        if tau is not None:
            names += [f"dot_{v}" for v in theta] + ["s" if tau else "t"]
        self.symbols = {name: sp.Symbol(name) for name in names}
        self.ring, *self.gens = field_of_fractions(list(self.symbols.values()), sp.QQ)
        n = len(theta)
        phi = [self.read(text) for text in model["phi"]]
        if model["denominators"]:
            phi = [p / self.read(q) for p, q in zip(phi, model["denominators"], strict=True)]
        if model["directions"]:
            phi = [
                sum((self.read(c) * phi[i] for i, c in row), self.ring.zero)
                for row in model["directions"]
            ]
        self.fields = []
        if tau is not None:
            dots, clock = self.gens[n : 2 * n], self.gens[2 * n]
            friction = self.ring.from_expr(tau)
            drift = [
                *dots,
                *(-friction * v for v in dots),
                friction * clock if tau else self.ring.one,
            ]
            self.fields.append(drift)
        for p in phi:
            slope = [p.diff(x) for x in self.gens[:n]]
            if model["metric"]:
                raised = [self.ring.zero] * n
                for a, b, text in model["metric"]:
                    raised[a] += self.read(text) * slope[b]
                slope = raised
            zeros = [self.ring.zero] * n
            self.fields.append(slope if tau is None else [*zeros, *slope, self.ring.zero])

    def read(self, text: str) -> Any:
        expression = sp.sympify(text.replace("^", "**"), locals=self.symbols)
        assert expression.free_symbols <= set(self.symbols.values())
        return self.ring.from_expr(expression)

    def slopes(self, law: dict[str, Any]) -> list[Any]:
        """∇h."""
        out = [self.read(law["polynomial"]).diff(x) for x in self.gens]
        for c, text in law["logarithms"]:
            q = self.read(text)
            out = [d + self.read(c) * q.diff(x) / q for d, x in zip(out, self.gens, strict=True)]
        return out

    def is_law(self, law: dict[str, Any]) -> bool:
        """Constant along every field, and no constant."""
        slope = self.slopes(law)
        rates = (
            sum((a * b for a, b in zip(f, slope, strict=True)), self.ring.zero) for f in self.fields
        )
        return any(slope) and not any(rates)

    def rank(self, rows: Sequence[Sequence[Any]]) -> int:
        """Rank at a random point."""
        rng = random.Random(0)
        at = [(x, sp.QQ(rng.randint(1, 999), rng.randint(1, 999))) for x in self.gens]
        values = [[sp.QQ(e.numer.evaluate(self._at(at))) / sp.QQ(e.denom.evaluate(self._at(at))) for e in row]
                  for row in rows]  # fmt: skip
        matrix = sp.polys.matrices.DomainMatrix(values, (len(values), len(self.gens)), sp.QQ)
        return matrix.rank() if values else 0

    def _at(self, at: Sequence[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
        return [(x.numer, value) for x, value in at]

    def bracket(self, f: Sequence[Any], g: Sequence[Any]) -> list[Any]:
        """[f, g]."""
        return [
            sum(
                (f[b] * g[a].diff(x) - g[b] * f[a].diff(x) for b, x in enumerate(self.gens)),
                self.ring.zero,
            )
            for a in range(len(self.gens))
        ]

    @property
    def number_of_laws(self) -> int:
        """N - dim Lie at a generic point."""
        kept: list[Any] = []
        waiting = [*self.fields]
        while waiting and len(kept) < len(self.gens):
            f = waiting.pop(0)
            if self.rank([*kept, f]) > len(kept):
                kept.append(f)
                waiting += [self.bracket(g, f) for g in self.fields]
        return len(self.gens) - len(kept)


@cache
def _system(text: str) -> tuple[System, int]:
    system = System(json.loads(text))
    return system, system.number_of_laws


def is_true(data: dict[str, Any]) -> bool:
    """The claim of a certificate is true, and the laws in its witness are independent laws."""
    claim = data["claim"]
    system, number = _system(json.dumps(claim["model"]))
    if data["kind"] == "conservation law":
        return all(map(system.is_law, claim["laws"]))
    laws = data["witness"]["laws"]
    rank = system.rank([system.slopes(law) for law in laws])
    return (
        claim["lower"] <= number <= claim["upper"]
        and all(map(system.is_law, laws))
        and claim["lower"] == len(laws) == rank
    )


def paths(node: Any, here: tuple[Any, ...] = ()) -> itertools.chain[tuple[Any, ...]]:
    """The places of all parts of JSON data."""
    items = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    return itertools.chain([here], *(paths(value, (*here, key)) for key, value in items))
