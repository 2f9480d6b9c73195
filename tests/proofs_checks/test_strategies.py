"""Strategies: what is drawn is what was asked for, simple first, the same when traced, and checked when made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, find, settings
from hypothesis.strategies import SearchStrategy

from lemmata import strategies as st
from numerics.losses import loss
from numerics.program_values import values
from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.conjecture import conjecture
from proofs_checks.conjectures.samples import Parameter, Real, Sample
from proofs_checks.strategies.formulas import loss_slopes, loss_values
from proofs_checks.strategies.numbers import LOSSES
from tests.proofs_checks.strategies_drawn import QUICK, drawn
from theory.errors import LemmataError


def plain(value: Any) -> Any:
    """What a conjecture sees of a drawn value, on numpy arrays."""
    return ConjectureCase.of(value).view()


def simplest(strategy: SearchStrategy[Any], condition: Callable[[Any], bool]) -> Any:
    """What Hypothesis shrinks to."""
    return find(strategy, condition, settings=settings(QUICK, phases=list(Phase)))


NETWORKS: dict[str, SearchStrategy[Any]] = {
    "relu": st.relu_networks(),
    "relu on separable data": st.relu_networks(data=st.orthogonally_separable(mu=0.25)),
    "prelu": st.prelu_networks(),
    "linear": st.linear_networks(balanced=None),
    "linear of depth 3 with inputs": st.linear_networks(3, data=True),
    "diagonal": st.diagonal_networks(3),
}
DATA: dict[str, SearchStrategy[Any]] = {
    "data_sets": st.data_sets(),
    "orthogonally_separable": st.orthogonally_separable(mu=st.reals(0.125, 0.875)),
    "separable": st.separable(),
    "xor": st.xor(),
    "parities": st.parities(subset=True),
    "gaussian_mixtures": st.gaussian_mixtures(),
    "orthogonal_clusters": st.orthogonal_clusters(spread=st.reals(0)),
    "degenerate_data": st.degenerate_data(),
}
ARRAYS: dict[str, SearchStrategy[Any]] = {
    "vectors": st.vectors(),
    "matrices": st.matrices(),
    "symmetric": st.symmetric_matrices(),
    "gram": st.gram_matrices(),
    "cosines": st.gram_matrices(unit_diagonal=True),
    "unit vectors": st.unit_vectors(),
    "kernels": st.kernel_matrices(),
    "kernels on the sphere": st.kernel_matrices(sphere=True),
    "orthogonal": st.orthogonal_matrices(),
    "singular values": st.matrices_with_spectrum(),
    "eigenvalues": st.matrices_with_spectrum([2, -1, 0], symmetric=True),
}
OPERATORS = {
    "operators": st.minimax_operators(L=st.positive()),
    "weak": st.minimax_operators(weak_minty=True),
}


def parts(view: Any) -> list[Any]:
    """Arrays that a view offers."""
    if hasattr(view, "gradient"):
        return [view.loss_value(), view.outputs(), *view.gradient().values()]
    if hasattr(view, "F"):
        return [view.A, view.rho, view.extragradient(0.5, 0.5, 2)[0][-1]]
    if hasattr(view, "cosines"):
        extra = [q for q in (view.mu, view.margin, view.w, view.centres) if q is not None]
        return [view.X, view.cosines(), view.X_max, view.X_min, *extra]
    return [view]


@pytest.mark.parametrize("name", [*NETWORKS, *DATA, *ARRAYS, *OPERATORS])
def test_traced_and_plain_agree(name: str) -> None:
    strategy = (NETWORKS | DATA | ARRAYS | OPERATORS)[name]

    @conjecture(case=strategy)
    def sums(case: Any) -> Any:
        return [np.sum(a) <= k for k, a in enumerate(parts(case)) if not isinstance(a, int)]

    for value in drawn(strategy):
        case = ConjectureCase.of(value)
        again = ConjectureCase.from_json(case.to_json())
        assert again.structure == case.structure and again.values == case.values
        program = sums.trace(again).program
        inputs = {path: array[None] for path, array in again.floats().items()}
        found = values(program.instructions, inputs, [r.lhs for r in program.conclusions])
        with np.errstate(over="ignore", invalid="ignore"):
            expected = [np.sum(a) for a in parts(case.view()) if not isinstance(a, int)]
            size = 1 + max(float(np.abs(a).sum()) for a in parts(case.view()))
        for relation, wanted in zip(program.conclusions, expected, strict=True):
            got = found[relation.lhs][0]
            if np.isfinite(wanted) and np.isfinite(size):
                assert got == pytest.approx(wanted, rel=1e-9, abs=1e-9 * size)


@pytest.mark.parametrize("name", [*NETWORKS, *DATA, *ARRAYS, *OPERATORS])
def test_the_simplest_value_is_small(name: str) -> None:
    # Hypothesis begins with the value to which it would shrink
    case = ConjectureCase.of(drawn((NETWORKS | DATA | ARRAYS | OPERATORS)[name], 1)[0])
    entries = [abs(x) for flat in case.values.values() for x in flat]
    assert all(x.denominator <= 8 and x <= 2 for x in entries)
    whole = ("xor", "parities", "diagonal", "eigenvalues", "operators", "weak")
    assert name in whole or all(max(s, default=1) == 1 for s in case.shapes.values())


@pytest.mark.parametrize(
    ("strategy", "condition", "answer"),
    [
        (st.matrices(2, 2), lambda A: np.linalg.matrix_rank(A) == 2, [[0, 1], [1, 0]]),
        (st.vectors((1, 5)), lambda x: x.sum() > 1.5, [2]),
        (st.vectors((1, 5)), lambda x: (x != 0).sum() >= 2, [1, 1]),
        (st.reals(), lambda x: x < -0.75, -1),
        (st.reals(3.25, 7.5), lambda x: x > 4, 5),
        (st.relu_networks().map(lambda net: net.W), lambda W: len(W) > 1, [[0], [0]]),
    ],
)
def test_shrinking(strategy: Any, condition: Any, answer: Any) -> None:
    assert np.array_equal(simplest(strategy, condition), answer)


def test_matrices_are_diverse() -> None:
    found = [np.asarray(A) for A in drawn(st.matrices((1, 4), (1, 4)), 300)]
    checks: dict[str, Callable[[Any], bool]] = {
        "zero": lambda A: not A.any(),
        "wide": lambda A: A.shape[0] < A.shape[1],
        "tall": lambda A: A.shape[0] > A.shape[1],
        "equal rows": lambda A: len(A) > 1 and A.any() and bool((A[0] == A).all()),
        "deficient": lambda A: A.any() and np.linalg.matrix_rank(A) < min(A.shape),
        "full": lambda A: min(A.shape) > 2 and np.linalg.matrix_rank(A) == min(A.shape),
        "tiny": lambda A: A.any() and abs(A).max() < 1e-5,
        "huge": lambda A: abs(A).max() > 1e5,
        "small integers": lambda A: (
            A.size > 3 and bool((A.round() == A).all() and abs(A).max() < 5)
        ),
        "no integers": lambda A: A.size > 3 and bool((A.round() != A).all()),
    }
    assert [name for name, check in checks.items() if not any(map(check, found))] == []


def test_widths_are_diverse() -> None:
    shapes = [(n.W1.shape, n.W2.shape) for n in drawn(st.linear_networks(), 200)]
    assert any(h < min(n, m) for (n, h), (_, m) in shapes)
    assert any(h > max(n, m) for (n, h), (_, m) in shapes)
    assert any(n != m for (n, _), (_, m) in shapes)


# -- structure that holds wherever the raw parameters are --------------------------------------------------------------
def moved(sample: Any, seed: int) -> Any:
    """The same structure with random raw parameters, within their domains."""
    rng = np.random.default_rng(seed)

    def somewhere(value: Any) -> Any:
        if isinstance(value, Sample):
            return type(value)(value._kind, {k: somewhere(v) for k, v in value._raw.items()})
        if isinstance(value, Parameter | Real):
            where = value.domain
            z = rng.standard_normal(np.shape(value)) * 10.0 ** rng.integers(-2, 3)
            low, high = max(where.low, -1e9), min(where.high, 1e9)
            inside = np.where((z > low) & (z < high), z, np.asarray(value))
            return Parameter(inside, where) if isinstance(value, Parameter) else Real(inside, where)
        return value

    return somewhere(sample)


def moves(strategy: SearchStrategy[Any]) -> list[Any]:
    """Views of drawn samples, and of others with their structure."""
    samples = drawn(strategy)
    return [plain(s) for s in samples] + [plain(moved(s, k)) for k, s in enumerate(samples)]


def test_symmetric_and_gram() -> None:
    for A in moves(st.symmetric_matrices()):
        assert np.array_equal(A, A.T)
    for G in moves(st.gram_matrices(3, rank=2)):
        lowest, middle, top = np.linalg.eigvalsh(G)
        assert abs(lowest) <= 1e-12 * top and middle >= -1e-12 * top
    for G in moves(st.gram_matrices(unit_diagonal=True)):
        assert np.diag(G) == pytest.approx(np.ones(len(G)))
    for X in moves(st.unit_vectors()):
        assert np.linalg.norm(X, axis=1) == pytest.approx(np.ones(len(X)))


def test_spectra() -> None:
    for Q in moves(st.orthogonal_matrices()):
        assert pytest.approx(np.eye(len(Q)), abs=1e-12) == Q @ Q.T
    for A in moves(st.matrices_with_spectrum([5, 0.5, 0], 4, 3)):
        assert A.shape == (4, 3)
        assert np.linalg.svd(A, compute_uv=False) == pytest.approx([5, 0.5, 0], abs=1e-12)
    for A in moves(st.matrices_with_spectrum([2, -1, 0], symmetric=True)):
        assert np.linalg.eigvalsh(A) == pytest.approx([-1, 0, 2], abs=1e-12)
    for A in drawn(st.matrices_with_spectrum(st.vectors(2, low=0, high=3), rows=(2, 4))):
        s = np.sort(A._raw["s"])[::-1]
        assert np.linalg.svd(np.asarray(A), compute_uv=False) == pytest.approx(s, abs=1e-12)


@pytest.mark.parametrize(("kernel", "layers"), [("arc-cosine", 1), ("ntk", 2)])
def test_kernels_are_means_over_random_weights(kernel: str, layers: int) -> None:
    # in the plane w has a uniform angle, and the mean of ‖w‖² is 2
    t = (np.arange(200_000) + 0.5) * 2 * np.pi / 200_000
    w = np.stack([np.cos(t), np.sin(t)])
    for sample in drawn(st.kernel_matrices(kernel, (1, 3), 2), 15):
        X, K = np.asarray(sample._raw["X"]), np.asarray(sample)
        z = X @ w
        mean = 2 * np.maximum(z, 0) @ np.maximum(z, 0).T / t.size
        if layers == 2:
            mean += (X @ X.T) * (np.sign(z).clip(0) @ np.sign(z).clip(0).T / t.size)
        size = 1 + abs(K).max()
        assert pytest.approx(mean / size, abs=2e-5) == K / size


def test_other_kernels() -> None:
    X = np.array([[1.0, 2.0], [0.0, -1.0]])
    raw = {"X": Parameter(X), "kernel": "gaussian"}
    assert pytest.approx(plain(Sample("kernel_matrix", raw))) == [
        [1, np.exp(-5)],
        [np.exp(-5), 1],
    ]
    assert np.array_equal(plain(Sample("kernel_matrix", raw | {"kernel": "linear"})), X @ X.T)


def test_orthogonally_separable() -> None:
    for mu in (None, 0.5, 0.99):
        for data in drawn(st.orthogonally_separable(mu=mu, n=(1, 4))):
            assert data.cosines().min() > (0 if mu is None else mu)
            assert data.mu == pytest.approx(data.cosines().min() if mu is None else mu)
            assert set(np.unique(data.y)) <= {-1.0, 1.0}


def test_the_hypothesis_of_orthogonal_separability_is_recorded() -> None:
    @conjecture(case=st.orthogonally_separable(mu=0.5, n=2, d=2))
    def claim(data: Any) -> Any:
        return np.sum(data.X) <= 1

    case = ConjectureCase.of(drawn(claim.case)[0])
    assert len(claim.trace(case).program.hypotheses) == 2


def test_data_sets_are_what_they_are_called() -> None:
    for data in moves(st.separable(n=(1, 4))):
        slack = data.y * (data.X @ data.w) - data.margin
        assert slack.min() >= -1e-9 * (1 + abs(data.X).max())
        assert np.linalg.norm(data.w) == pytest.approx(1)
    for data in moves(st.orthogonal_clusters(d=(3, 4))):
        C = data.centres
        assert pytest.approx(np.eye(len(C)), abs=1e-12) == C @ C.T
        gaps = np.linalg.norm(data.X[:, None] - C[None], axis=2)
        assert gaps.min(axis=1) == pytest.approx(np.zeros(data.n), abs=1e-12)
    for data in drawn(st.xor(d=3, scale=2.0)):
        assert data.y == pytest.approx(np.sign(data.X[:, 0] * data.X[:, 1]))
        assert not data.X[:, 2].any() and abs(data.X[:, :2]).min() == 2
    for data in drawn(st.parities(3, 4, subset=True)):
        assert np.array_equal(data.y, np.sign(data.X[:, :3]).prod(axis=1))
    degenerate = [plain(s).X for s in drawn(st.degenerate_data(n=(2, 4), d=(2, 3)), 100)]
    degenerate = [X for X in degenerate if X.any()]
    assert any(len(X) == 1 for X in degenerate)
    assert any(len(X) > 1 and (X[0] == X).all() for X in degenerate)
    assert any(len(X) > 1 and (X[0] == -X[1]).all() for X in degenerate)
    assert any((X == 0).all(axis=0).any() for X in degenerate)


def test_balance() -> None:
    for net in moves(st.relu_networks(balanced=True)):
        assert net.imbalance() == pytest.approx(0 * net.v, abs=1e-9 * (1 + abs(net.v).max() ** 2))
    for net in moves(st.linear_networks(3, balanced=True, shapes=[(1, 3), 2, (1, 3), 2])):
        size = 1 + max(abs(W).max() for W in net.weights) ** 2
        for k in (1, 2):
            assert net.imbalance(k) == pytest.approx(0 * net.imbalance(k), abs=1e-9 * size)
    for case in drawn(st.imbalances()):
        assert pytest.approx(case.W1.T @ case.W1 - case.W2 @ case.W2.T) == case.D


@pytest.mark.parametrize("kind", ["bilinear", "rotation", "general"])
def test_operators(kind: str) -> None:
    for op in moves(st.minimax_operators(L=st.positive(), kind=kind)):
        assert np.linalg.norm(op.A, 2) <= op.L * (1 + 1e-9)
        assert np.linalg.eigvalsh(op.A + op.A.T)[0] >= -1e-9 * op.L
        assert not op.F(op.z_star).any()


def test_weak_minty() -> None:
    found = moves(st.minimax_operators(L=2, weak_minty=True))
    assert any(op.rho < 0 for op in found)
    for op in found:
        z = op.z0 - op.z_star
        F = op.A @ z
        assert F @ z >= op.rho * (F @ F) - 1e-9 * (1 + abs(op.rho)) * (1 + z @ z)


# -- networks ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_those_of_the_integrators(name: str) -> None:
    y = np.array([1.0, -1.0, 1.0, -1.0])
    for f in (np.array([0.0, 0.5, -2.0, 3.0]), np.array([40.0, -300.0, 500.0, 300.0])):
        assert loss_values(name, y, f) == pytest.approx(loss(name).value(f, y), rel=1e-14)
        assert loss_slopes(name, y, f) == pytest.approx(-loss(name).g(f, y), rel=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients(name: str) -> None:
    rng = np.random.default_rng(0)
    checked = 0
    for sample in drawn(NETWORKS[name], 150):
        if checked > 20:
            break
        net = plain(sample)
        with np.errstate(over="ignore", invalid="ignore"):  # where it was drawn, sizes are extreme
            weights = {k: rng.standard_normal(g.shape) for k, g in net.gradient().items()}
        there, step = net.with_weights(**weights), 1e-6
        if not 1e-3 < abs(there.X if hasattr(there, "X") else there.A).max() < 1e3:
            continue
        checked += 1
        for k, g in there.gradient().items():
            direction = rng.standard_normal(g.shape)
            ends = [
                there.with_weights(**{k: weights[k] + s * step * direction}).loss_value()
                for s in (1, -1)
            ]
            size = 1 + abs(ends[0]) + np.abs(g).sum()
            assert (ends[0] - ends[1]) / (2 * step) / size == pytest.approx(
                (g * direction).sum() / size, abs=1e-5
            )
    assert checked > 5


def test_starts_at_a_scale() -> None:
    for sample in drawn(st.relu_networks(eps=st.positive(1.0), balanced=False, loss="squared")):
        start = plain(sample)
        net = start.network()
        assert np.array_equal(net.W, start.eps * start.W)
        after = start.descent(2.0**-4, 1)[1]
        assert np.array_equal(after.v, net.v - 2.0**-4 * net.gradient()["v"])


def test_optimum_has_the_normalisation_of_the_network() -> None:
    data = Sample("points", {"X": Parameter([[1.0]]), "y": np.array([1.0])})
    raw = {"data": data, "W": Parameter([[1.0]]), "v": Parameter([1.0]), "loss": "squared"}
    # min over f of (1 - f)² + β|f|, which is β - β²/4
    assert plain(Sample("relu_network", raw)).optimum(0.5) == pytest.approx(0.5 - 0.0625)
    with pytest.raises(LemmataError, match="squared, logistic"):
        plain(Sample("relu_network", raw | {"loss": "exponential"})).optimum(0.5)
