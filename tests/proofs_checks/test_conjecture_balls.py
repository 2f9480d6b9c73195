"""Programs in ball arithmetic; the bounds of floats are compared with them."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx, fmpq
from hypothesis import given
from hypothesis import strategies as st

from numerics.program_bounds import bounds
from numerics.program_values import values
from proofs_checks.conjectures import ball_spectra
from proofs_checks.conjectures.ball_numbers import Number, Undefined, ball_of
from proofs_checks.conjectures.balls import evaluate, explore
from tests.proofs_checks.conjecture_programs import inputs, program
from theory import array_functions as ops
from theory.errors import LemmataError
from theory.program import Program
from theory.tracing import Recorder


def _exact(a: np.ndarray) -> list[Fraction]:
    return [Fraction(x) for x in np.asarray(a, dtype=object).ravel().tolist()]


def _explored(function, bits: int = 128, **given: object) -> list[Number]:
    arrays = {k: np.asarray(v, dtype=object) for k, v in given.items()}
    with Recorder() as recorder:
        result = function(*(recorder.input(k, a.shape) for k, a in arrays.items()))
        traced = recorder.program([("", result <= 0)])
    exact = {k: _exact(a) for k, a in arrays.items()}
    return explore(traced, exact, [result.number], bits=bits)[result.number]


def _differs(mid: float, rad: float, x: Number) -> str:
    """How a float bound contradicts an exact value, "" if it does not."""
    if isinstance(x, Undefined):
        return "" if math.isinf(rad) or math.isnan(rad) else "undefined, but bounded"
    if math.isnan(rad):
        return "defined, but said to be undefined"
    if isinstance(x, arb) and not x.is_finite():
        return "" if math.isinf(rad) else "not known, but bounded"
    if math.isinf(rad):
        return ""
    with ctx.workprec(3000):
        return "outside" if abs(ball_of(x) - arb(mid)).lower() > arb(rad) else ""


@given(st.integers(0, 10**6), st.booleans())
def test_float_bounds_contain_the_exact_values(seed: int, uncertain: bool) -> None:
    instructions = program(seed)
    traced = Program(instructions, (), ())
    arrays, wanted = inputs(seed), list(range(len(instructions)))
    rng = np.random.default_rng(seed)
    true = {k: [_exact(row) for row in a] for k, a in arrays.items()}
    radii = {}
    for name, a in arrays.items() if uncertain else ():
        radii[name] = np.abs(a) * 10.0 ** rng.integers(-16, -1, a.shape)
        for row, radius in zip(true[name], radii[name], strict=True):
            share = [Fraction(int(x), 8) for x in rng.integers(-8, 9, len(row))]
            row[:] = [x + s * r for x, s, r in zip(row, share, _exact(radius), strict=True)]
    found = bounds(instructions, arrays, radii, wanted)
    plain = values(instructions, arrays, wanted)
    for lane in range(len(arrays["c"])):
        exact = explore(traced, {k: v[lane] for k, v in true.items()}, wanted, bits=400)
        for k in wanted:
            mids, rads = (found[k][part][lane].ravel().tolist() for part in (0, 1))
            wrong = [
                (k, instructions[k].op, m, r, str(x), words)
                for m, r, x in zip(mids, rads, exact[k], strict=True)
                if (words := _differs(m, r, x))
            ]
            assert not wrong
        if not uncertain:
            for k in wanted:
                mid, rad = (found[k][part][lane] for part in (0, 1))
                sharp = rad <= 1e-12 * abs(mid)
                np.testing.assert_allclose(plain[k][lane][sharp], mid[sharp], rtol=1e-9)


@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(0, 8))
def test_spectral_bounds_on_hard_matrices(seed: int, n: int, kind: int) -> None:
    """Ties, clusters, low rank, all scales."""
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((4, n, n)))[0]
    spectrum = {
        0: np.ones(n),
        1: np.arange(n) // 2,
        2: 1 + np.arange(n) * 1e-15,
        3: 10.0 ** -np.arange(0, 8 * n, 8),
        4: np.where(np.arange(n) < 1, 1e-300, 0.0),
        5: np.where(np.arange(n) < 1, 1e300, 1.0),
        6: np.full(n, 1e-318),
    }.get(kind, np.zeros(n))
    M = Q @ (spectrum[:, None] * Q.swapaxes(1, 2))
    if kind >= 7:
        M = rng.integers(-1, 2, (4, n, n)).astype(float)
    with Recorder() as recorder:
        A = recorder.input("A", (n, n))
        sides = [ops.eigenvalues(A), ops.singular_values(A[:, : n - 1])]
        traced = recorder.program([("", s <= 0) for s in sides])
    wanted = [s.number for s in sides]
    found = bounds(traced.instructions, {"A": M}, {}, wanted)
    for lane in range(4):
        exact = explore(traced, {"A": _exact(M[lane])}, wanted, bits=500)
        for k in wanted:
            for m, r, x in zip(found[k][0][lane], found[k][1][lane], exact[k], strict=True):
                assert not _differs(float(m), float(r), x)
                assert r <= 1e-13 * abs(M[lane]).max() + 1e-320


def test_rational_operations_are_exact() -> None:
    third = Fraction(1, 3)
    found = _explored(lambda a: ops.norm(a) / 7 - (a @ a) ** -2 + ops.step(a)[0], a=[3, 4])
    assert found == [fmpq(5, 7) - fmpq(1, 625) + 1]
    assert _explored(lambda a: ops.singular_values(a), a=[[3, 0], [4, 0]]) == [5, 0]
    assert _explored(lambda a: ops.eigenvalues(a), a=[[2, 1], [1, 2]]) == [1, 3]
    assert _explored(lambda a: ops.eigenvalues(a), a=[[third, 1], [-1, 2]]) == [fmpq(1, 3), 2]
    assert _explored(lambda a: ops.exp(a) + ops.log(a + 1) + ops.cos(a), a=0) == [2]
    assert _explored(lambda a: a ** Fraction(3, 2), a=Fraction(4, 9)) == [fmpq(8, 27)]


def test_long_rationals_become_balls() -> None:
    def iterate(x):
        for _ in range(14):
            x = x * x + Fraction(1, 3)
        return x

    (found,) = _explored(iterate, x=Fraction(1, 7))
    assert isinstance(found, arb) and found.rel_accuracy_bits() > 100


@pytest.mark.parametrize("n", [2, 3, 6, 14])
def test_multiple_eigenvalues_are_sharp(n: int) -> None:
    rng = np.random.default_rng(n)
    # a rank-one change of the identity has an (n - 1)-fold eigenvalue
    v = rng.integers(1, 4, n)
    M = np.eye(n, dtype=int) + np.outer(v, v)
    exact = _explored(lambda A: ops.eigenvalues(A), A=M.astype(object))
    assert [float(ball_of(x).mid()) for x in exact] == [1.0] * (n - 1) + [1.0 + v @ v]
    irrational = _explored(lambda A: ops.eigenvalues(A * ops.sqrt(2)), bits=256, A=M.astype(object))
    with ctx.workprec(256):
        for x, y in zip(irrational, exact, strict=True):
            assert x.overlaps(ball_of(y) * arb(2).sqrt())
            assert x.rad() < arb(2) ** -230 * (1 + int(v @ v))


def test_eigenvalues_satisfy_the_characteristic_polynomial() -> None:
    a, b, c = Fraction(1, 3), Fraction(2), Fraction(-5, 7)
    M = [[a, b, 0], [b, c, 1], [0, 1, a]]
    found = _explored(lambda A: ops.eigenvalues(A), bits=256, A=M)
    with ctx.workprec(256):
        exact = [ball_of(fmpq(x.numerator, x.denominator)) for x in map(Fraction, (a, b, c))]
        for x in map(ball_of, found):
            first, last = exact[0] - x, exact[2] - x
            determinant = first * (last * first - 1) - exact[1] * exact[1] * first
            assert determinant.contains(0) and determinant.rad() < arb(2) ** -200
    assert found[0] < found[1] < found[2]


def test_close_algebraic_numbers_are_told_apart() -> None:
    """√2 + √3 against √(5 + 2√6) (equal) and a neighbour at a distance of 2^-400."""

    def gap(x):
        return ops.sqrt(2) + ops.sqrt(3) - ops.sqrt(5 + 2 * ops.sqrt(6) + x)

    (equal,) = _explored(gap, bits=512, x=0)
    assert equal.contains(0) and equal.rad() < arb(2) ** -500
    (less,) = _explored(gap, bits=512, x=Fraction(1, 2**400))
    assert less < 0


def test_what_is_undefined_says_where() -> None:
    with Recorder() as recorder:
        x = recorder.input("x", (2,))
        y = ops.maximum(1, ops.sqrt(x - 1)) * 0
        traced = recorder.program([("", y <= 0)])
    first, second = explore(traced, {"x": [Fraction(2), Fraction(0)]}, [y.number], bits=128)[
        y.number
    ]
    assert first == 0
    assert isinstance(second, Undefined) and traced.instructions[second.instruction].op == "sqrt"
    out = evaluate(traced, {"x": [Fraction(2), Fraction(0)]}, [y.number], bits=128)[y.number]
    assert out[0] == 0 and not out[1].is_finite()


def test_what_may_be_undefined_is_not_known() -> None:
    def function(x):
        zero = ops.sqrt(2) * ops.sqrt(2) - 2
        return ops.tanh(ops.log(zero) + x)

    (found,) = _explored(function, x=0)
    assert isinstance(found, arb) and not found.is_finite()


def test_roots_of_squares_that_touch_zero() -> None:
    def function(x):
        zero = ops.sqrt(2) * ops.sqrt(2) - 2 * x
        return ops.norm(ops.stack([zero, zero])) + (zero * zero) ** Fraction(1, 3)

    (found,) = _explored(function, bits=512, x=1)
    assert found.contains(0) and found < arb(2) ** -300


def test_missing_oracles_and_inputs() -> None:
    with Recorder() as recorder:
        x = recorder.input("x", ())
        y = ops.oracle("o", [x + 1], {"k": 2}, ())
        traced = recorder.program([("", y <= 0)])
    with pytest.raises(LemmataError, match="no balls"):
        evaluate(traced, {"x": [Fraction(1)]}, [y.number], bits=64)
    with pytest.raises(LemmataError, match="missing"):
        evaluate(traced, {}, [y.number], bits=64)
    with pytest.raises(LemmataError, match="values for the shape"):
        evaluate(traced, {"x": [Fraction(1)] * 2}, [y.number], bits=64)

    def oracle(parameters, args, bits):
        assert args == [[2]] and bits == 64
        return [fmpq(parameters["k"])], {"certificate": None}

    got = evaluate(traced, {"x": [Fraction(1)]}, [y.number], bits=64, oracles={"o": oracle})
    assert got[y.number] == [2]


@pytest.mark.parametrize("kind", ["generic", "close", "graded", "huge"])
def test_spectra_of_large_matrices_are_sharp_and_quick(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rotations, each of two vectors twice, are for what the refined eigenvectors leave: fewer than three sweeps."""
    n, turn = 40, ball_spectra._turn
    turns: list[int] = []

    def counted(*arguments: Any) -> None:
        turns.append(1)
        turn(*arguments)

    monkeypatch.setattr(ball_spectra, "_turn", counted)
    draw = np.random.default_rng(4)
    Q, _ = np.linalg.qr(draw.standard_normal((n, n)))
    spectrum = {
        "generic": draw.standard_normal(n),
        "close": 1 + np.repeat(1e-9 * np.arange(n // 4), 4),
        "graded": 2.0 ** -np.arange(n),
        "huge": 1e200 * draw.standard_normal(n),
    }[kind]
    A = Q * spectrum @ Q.T
    A = (A + A.T) / 2
    with ctx.workprec(128):
        found = ball_spectra.eigenvalues([fmpq(*float(x).as_integer_ratio()) for x in A.ravel()], n)
    assert len(turns) < (1 if kind in ("generic", "huge") else 3 * n * n)
    size = float(np.abs(spectrum).max())
    for ball, near in zip(found, np.linalg.eigvalsh(A), strict=True):
        assert float(ball.rad()) <= 1e-38 * size and abs(float(ball.mid()) - near) <= 1e-12 * size
