"""The hypotheses of the derivations on collapse are true of a real optimum: no chain starts from a contradiction.

Two classes with two coordinates, so that a network fits into an instance; every number to 300 bits.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from flint import arb, ctx

from theory import collapse_derivation_setting as s
from theory import collapse_simplex_setting as letters
from theory import derivations_collapse as squares
from theory import derivations_collapse_ce as simplices
from theory import derivations_collapse_dual as dual
from theory import derivations_collapse_frames as frames
from theory import derivations_collapse_zero as zero
from theory.derivation import Derivation
from theory.instances import Instance

BITS = 300
Values = dict[Any, Any]


def rational(x: Any) -> Fraction:
    """The middle of a ball."""
    q = arb(x).mid().fmpq()
    return Fraction(int(q.p), int(q.q))


def common(sizes: tuple[int, int], L: arb, lambda_W: arb) -> Values:
    """Sizes, targets and decays."""
    N = sum(sizes)
    out: Values = {
        s.K: 2,
        s.N: N,
        s.L: L,
        s.lambda_W: lambda_W,
        s.lambda_H: L * L / lambda_W,
    }
    labels = [1] * sizes[0] + [2] * sizes[1]
    for j in (1, 2):
        out["n", (j,)] = sizes[j - 1]
        for i, label in enumerate(labels, 1):
            out["Y", (j, i)] = int(label == j)
    return out


def network(values: Values, sizes: tuple[int, int], W: list[Any], H: list[Any]) -> list[list[arb]]:
    """Puts w_j and the features of the classes into the values; the logits z[class][point]."""
    labels = [0] * sizes[0] + [1] * sizes[1]
    for j, w in enumerate(W, 1):
        values["w", (j,)] = tuple(w)
    for i, label in enumerate(labels, 1):
        values["h", (i,)] = tuple(H[label])
    return [[sum((a * b for a, b in zip(w, H[k], strict=True)), arb(0)) for k in labels] for w in W]


def collapsed(values: Values) -> None:
    """The explicit network of the derivations, here the optimum itself."""
    for name in ("w", "h", "c"):
        own = {at: v for (label, at), v in _indexed(values) if label == name}
        values.update({(f"{name}_c", at): v for at, v in own.items()})


def _indexed(values: Values) -> list[Any]:
    return [(key, v) for key, v in values.items() if isinstance(key, tuple)]


def decay(values: Values, sizes: tuple[int, int], W: list[Any], H: list[Any]) -> arb:
    squares_W = sum((a * a for w in W for a in w), arb(0))
    squares_H = sum((n * a * a for n, h in zip(sizes, H, strict=True) for a in h), arb(0))
    total: arb = (values[s.lambda_W] * squares_W + values[s.lambda_H] * squares_H) / 2
    return total


def cross_entropy(values: Values, z: list[list[arb]], sizes: tuple[int, int]) -> arb:
    labels, loss = [0] * sizes[0] + [1] * sizes[1], arb(0)
    for i, label in enumerate(labels):
        c = (z[0][i].exp() + z[1][i].exp()).log()
        values["c", (i + 1,)] = c
        loss += (c - z[label][i]) / len(labels)
    for j in (1, 2):
        values["bias", (j,)] = 0
    return loss


def mse(sizes: tuple[int, int]) -> Values:
    L, N = arb(9) / 40, sum(sizes)
    out = common(sizes, L, arb(2) / 5)
    W, H = [[arb(0)] * 2 for _ in sizes], [[arb(0)] * 2 for _ in sizes]
    for j, n in enumerate(sizes):
        root = arb(n).sqrt()
        m = L if root / N > L else root / N
        shrink = 1 - N * m / root if root / N > L else arb(0)
        a, b = (
            (L * root * shrink / price).sqrt() for price in (out[s.lambda_W], out[s.lambda_H] * n)
        )
        W[j][j], H[j][j] = a, b
        for name, value in (("m", m), ("a", a), ("b", b), ("s", shrink)):
            out[name, (j + 1,)] = value
    z = network(out, sizes, W, H)
    loss = sum(
        ((z[j][i] - out["Y", (j + 1, i + 1)]) ** 2 for j in (0, 1) for i in range(N)), arb(0)
    )
    out[s.J] = loss / (2 * N) + decay(out, sizes, W, H)
    collapsed(out)
    return out


def simplex(L: arb) -> Values:
    sizes, n = (2, 2), 2
    out = common(sizes, L, arb(2) / 5)
    root = L * arb(n).sqrt()
    dead = root > arb(1) / 2
    t = arb(1) / 2 if dead else root
    q = 1 - t
    logit = arb(0) if dead else q.log() - t.log()
    a, b = ((root * logit / price).sqrt() for price in (out[s.lambda_W], out[s.lambda_H] * n))
    frame = [[arb(1) / 2, -arb(1) / 2], [-arb(1) / 2, arb(1) / 2]]
    W, H = ([[c * x for x in row] for row in frame] for c in (a, b))
    z = network(out, sizes, W, H)
    out[s.J] = cross_entropy(out, z, sizes) + decay(out, sizes, W, H)
    collapsed(out)
    return out | {
        letters.n: n,
        letters.t: t,
        letters.q: q,
        letters.a: a,
        letters.b: b,
        zero.alive: int(not dead),
        zero.rho: 2 * t,
    }


def frame(L: arb) -> Values:
    sizes = (2, 1)
    N = sum(sizes)
    out = common(sizes, L, arb(2) / 5)
    W, H = [[arb(0)] * 2 for _ in sizes], [[arb(0)] * 2 for _ in sizes]
    for j, n in enumerate(sizes):
        theta = N * L / arb(2 * n).sqrt()
        dead = theta > arb(1) / 2
        tau = arb(1) / 2 if dead else theta
        q = 1 - tau
        logit = arb(0) if dead else q.log() - tau.log()
        paid = arb(n) / N * theta * logit
        v, b = (2 * paid / out[s.lambda_W]).sqrt(), (paid / (out[s.lambda_H] * n)).sqrt()
        if not dead:
            H[j][j] = b
            for r in (0, 1):
                W[r][j] = logit * (int(r == j) - arb(1) / 2) / b
        for name, value in (
            ("theta", theta),
            ("tau", tau),
            ("q", q),
            ("v", v),
            ("b", b),
        ):
            out[name, (j + 1,)] = value
    z = network(out, sizes, W, H)
    out[s.J] = cross_entropy(out, z, sizes) + decay(out, sizes, W, H)
    collapsed(out)
    return out


CHAINS: list[tuple[str, Callable[[], Derivation], Callable[[], Values]]] = [
    ("squares, alive", squares.mse_value, lambda: mse((4, 2))),
    ("squares, one dead", squares.mse_value, lambda: mse((5, 1))),
    ("free features, alive", simplices.ufm_value, lambda: simplex(arb(1) / 5)),
    ("free features, dead", simplices.ufm_value, lambda: simplex(arb(2) / 5)),
    ("zero threshold, alive", zero.ufm_zero, lambda: simplex(arb(1) / 5)),
    ("zero threshold, dead", zero.ufm_zero, lambda: simplex(arb(2) / 5)),
    ("features >= 0, alive", frames.upfm_value, lambda: frame(arb(1) / 5)),
    ("features >= 0, one dead", frames.upfm_value, lambda: frame(arb(7) / 25)),
    ("features >= 0, dead", frames.upfm_value, lambda: frame(arb(1) / 2)),
]


@pytest.mark.parametrize("words,build,values", CHAINS, ids=[c[0] for c in CHAINS])
def test_hypotheses_and_conclusions_hold_on_an_optimum(
    words: str, build: Callable[[], Derivation], values: Callable[[], Values]
) -> None:
    derivation = build()
    with ctx.workprec(BITS):
        found = {
            k: tuple(map(rational, v)) if isinstance(v, tuple) else rational(v)
            for k, v in values().items()
        }
    instance = Instance(random.Random(0), values=dict(found))
    relations = dict(derivation.hypotheses)
    relations |= {s.name: s.relation for s in derivation.steps}
    checked = 0
    for name, relation in relations.items():
        for where in derivation.setting.assignments(relation, instance):
            # a touching inequality may be too close to tell; an equation is told to 100 bits
            assert instance.compare(relation, where) is not False or _touches(
                instance, relation, where
            ), name
            checked += 1
    assert checked > len(relations)
    assert set(instance.values) == set(found), "a value of the optimum is missing"


def _touches(instance: Instance, relation: Any, where: Any) -> bool:
    """Both sides agree to 90 bits: the optimum was rounded."""
    a, b = instance.evaluate(relation.lhs, where), instance.evaluate(relation.rhs, where)
    return relation.op == "<=" and bool(abs(a - b) < arb(2) ** -90)


def test_the_dual_has_an_instance() -> None:
    derivation = dual.upfm_dual()
    g = {1: Fraction(1, 7), 2: Fraction(1, 5)}
    values: Values = {dual.K: Fraction(2), s.N: Fraction(5)}
    values |= {s.lambda_W: Fraction(1), s.lambda_H: Fraction(1)}
    values["one", ()] = (Fraction(1), Fraction(1))
    for j in (1, 2):
        values["e", (j,)] = (Fraction(j == 1), Fraction(j == 2))
        values["gamma", (j,)], values["gamma_sq", (j,)] = g[j], g[j] ** 2
        values["n", (j,)] = Fraction(3)
        for i in (1, 2):
            values["same", (j, i)] = Fraction(j == i)
            values["B", (j, i)] = g[j] * g[i] / 2 * (j != i)
            values["R", (j, i)] = Fraction(0)
    instance = Instance(random.Random(0), values=dict(values))
    for step in derivation.steps:
        for where in derivation.setting.assignments(step.relation, instance):
            assert instance.compare(step.relation, where) is True, step.name
    assert set(instance.values) == set(values)
