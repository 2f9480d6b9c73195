"""The worked conjectures on open questions: what the search says, and independent checks of it.

Nothing in the independent checks uses the library's interpreters: both sides are computed again with numpy or with
Fractions, gradients with torch's autograd, trajectories with scipy.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

import lemmata as lm
from proofs_checks.conjectures.replays import verdict_on
from proofs_checks.conjectures.samples import Parameter, Sample
from proofs_checks.verdict import Verdict
from tests.quality import conjectures_open as open_questions

norm = np.linalg.norm


def arrays(case: lm.ConjectureCase) -> dict[str, Any]:
    return {path.removeprefix("net."): array for path, array in case.floats().items()}


# -- the counterexamples, with both sides computed again ---------------------------------------------------------------
def swapped_bound_exceeds(c: dict[str, Any]) -> bool:
    W1, W2 = c["W1"], c["W2"]
    n, m = W1.shape[0], W2.shape[1]

    def kth(values: Any, k: int) -> float:
        ordered = np.sort(values)[::-1]
        return max(ordered[k - 1], 0.0) if k <= len(ordered) else 0.0

    D, s = W1.T @ W1 - W2 @ W2.T, np.linalg.svd(W1 @ W2, compute_uv=False)
    plus, minus = np.linalg.eigvalsh(D), np.linalg.eigvalsh(-D)
    delta = kth(plus, n) + kth(minus, m)
    right = 0.0
    for gap, index in ((kth(minus, 1) - kth(minus, m), m), (kth(plus, 1) - kth(plus, n), n)):
        right += (np.sqrt((gap + delta) ** 2 + 4 * kth(s, index) ** 2) - gap) / 2
    left = kth(np.linalg.eigvalsh(W1 @ W1.T), n) + kth(np.linalg.eigvalsh(W2.T @ W2), m)
    return bool(right > left * (1 + 1e-9))


def cosine_after(w: Any, y: Any, p: float, dt: float) -> tuple[float, float]:
    """The largest cosine with an own centre before and after a short step along autograd's field, v = |w|."""
    start = torch.tensor(w, requires_grad=True)
    f = (torch.tensor(y) * torch.relu(start) ** p).sum() / start.norm() ** (p - 1)
    f.backward()
    assert start.grad is not None
    moved = w + dt * norm(w) * start.grad.numpy()
    own = y > 0
    return float(np.max(w[own]) / norm(w)), float(np.max(moved[own]) / norm(moved))


def comes_nearer(c: dict[str, Any], negative: int) -> bool:
    w = c["case"]
    y = np.array([1.0] * (len(w) - negative) + [-1.0] * negative)
    before, after = cosine_after(w, y, 1.5, 1e-6)
    return after > before + 1e-8


def rests_on_both(c: dict[str, Any]) -> bool:
    plus, minus = ([Fraction(t) for t in row] for row in c["X"].tolist())
    rest = [a - b for a, b in zip(plus, minus, strict=True)]

    def inner(a: list[Fraction], b: list[Fraction]) -> Fraction:
        return sum((s * t for s, t in zip(a, b, strict=True)), Fraction(0))

    return inner(rest, minus) > 0 and inner(rest, plus) > 0


def turns_further(c: dict[str, Any]) -> bool:
    """Two parametrisations of one neuron, a step of descent on -<x, .>, by autograd."""
    v, x, a, b, eta = (torch.tensor(c[k]) for k in ("v", "x", "a", "b", "eta"))
    angles = []
    for normalised in (True, False):
        w = v.clone().requires_grad_()
        factor = a * b / w.norm() if normalised else a * b / v.norm()
        (factor * (w @ x)).backward()
        assert w.grad is not None
        after = v + eta * w.grad
        angles.append(float(torch.arccos((v @ after) / (v.norm() * after.norm()))))
    return angles[0] > angles[1] + 1e-9


def faster_than_balanced(c: dict[str, Any]) -> bool:
    across = c["x"] - c["v"] * (c["v"] @ c["x"]) / (c["v"] @ c["v"])
    return bool(norm(across) > 0 and c["a"] * c["b"] > c["size"] ** 2)


def drifts_by_more_than_the_step(c: dict[str, Any]) -> bool:
    W1, W2, B, eta = c["W1"], c["W2"], c["B"], float(c["eta"])
    D = W1.T @ W1 - W2 @ W2.T
    for _ in range(2):
        G = W1 @ W2 - B
        sizes = norm(W1, 2) ** 2 + norm(W2, 2) ** 2 + norm(G, 2)
        assert eta * sizes <= 1 + 1e-12
        W1, W2 = W1 - eta * G @ W2.T, W2 - eta * W1.T @ G
    return bool(norm(W1.T @ W1 - W2 @ W2.T - D) > eta * (1 + 1e-9))


def variabilities(W: Any, H: Any, eta: float, steps: int) -> list[float]:
    """Square loss; the ratio before every step and at the end."""
    classes, out = [H[:, :2], H[:, 2:]], []
    for _ in range(steps + 1):
        classes = [H[:, :2], H[:, 2:]]
        means = [part.mean(axis=1, keepdims=True) for part in classes]
        within = sum(((part - m) ** 2).sum() for part, m in zip(classes, means, strict=True))
        between = 2 * sum(((m - H.mean(axis=1, keepdims=True)) ** 2).sum() for m in means)
        out.append(float(np.sqrt(within / between)))
        R = W.T @ H - np.kron(np.eye(2), np.ones((1, 2)))
        assert eta * max(norm(W, 2), norm(H, 2)) ** 2 <= 4 + 1e-12
        W, H = W - eta * H @ R.T / 4, H - eta * W @ R / 4
    return out


def grows_in_a_step(c: dict[str, Any]) -> bool:
    before, after = variabilities(c["W"], c["H"], float(c["eta"]), 1)
    return after > before * (1 + 1e-9)


def grows_from_zero_weights(c: dict[str, Any]) -> bool:
    path = variabilities(np.zeros((len(c["H"]), 2)), c["H"], float(c["eta"]), 6)
    return any(b > a * (1 + 1e-9) for a, b in pairwise(path[1:]))


def is_kkt_and_no_centre(c: dict[str, Any]) -> bool:
    """Stationarity by autograd, at the scale in which the margins are 1, up to 1/1000."""
    p, u = 4, c["case"] / norm(c["case"])
    r = np.min(u**p) ** -0.5
    w, v = torch.tensor(r * u, requires_grad=True), torch.tensor(r, requires_grad=True)
    margins = v * torch.relu(w) ** p / w.norm() ** (p - 1)
    (torch.tensor(u ** (2.0 - p)) * margins).sum().backward()
    assert w.grad is not None and v.grad is not None
    stationary = np.allclose(w.grad.numpy(), r * u, atol=1e-12)
    stationary &= abs(float(v.grad) - r) < 1e-12
    active = bool((abs(margins.detach().numpy() - 1) <= 1.001e-3).all())
    return stationary and active and u.max() < 0.99


WITNESSED: dict[str, Callable[[dict[str, Any]], bool]] = {
    "pl_constant_swapped": swapped_bound_exceeds,
    "recedes_anywhere": lambda c: comes_nearer(c, 0),
    "recedes_from_two_classes": lambda c: comes_nearer(c, 1),
    "extremal_directions_avoid_the_other_class": rests_on_both,
    "normalisation_slows_a_step": turns_further,
    "normalisation_slows_at_every_size": faster_than_balanced,
    "imbalance_by_the_step_size": drifts_by_more_than_the_step,
    "variability_decreases": grows_in_a_step,
    "from_zero_mse": grows_from_zero_weights,
    "kkt_neurons_are_centres": is_kkt_and_no_centre,
}
SURVIVORS = (
    "pl_constant",
    "recedes_3_2",
    "recedes_5_4",
    "cosines_even_out",
    "neurons_that_see_a_point_move",
    "normalisation_speeds_up_growing_neurons",
    "within_class_differences_do_not_grow",
    "from_zero_ce",
    "multipliers_exist",
    "centres_are_optimal",
)


@pytest.mark.parametrize("name", WITNESSED)
def test_refuted_with_a_certificate_and_an_independent_witness(name: str) -> None:
    report = lm.refute(getattr(open_questions, name), cases=10_000)
    assert report.status == "refuted"
    found = report.counterexample
    assert found is not None and found.certificate is not None
    assert found.rigor == "proved" and found.certificate.audit().accepted
    case = lm.ConjectureCase.from_json(found.case)
    assert all(size <= 4 for shape in case.shapes.values() for size in shape)
    assert WITNESSED[name](arrays(case))


@pytest.mark.parametrize("name", SURVIVORS)
def test_not_refuted(name: str) -> None:
    report = lm.refute(getattr(open_questions, name), cases=1000)
    assert report.status == "survived"
    assert report.deciding >= 100
    assert report.tightest is not None and report.tightest[0] <= 1


def test_best_constant_of_the_imbalance_is_two() -> None:
    best = lm.refute(open_questions.imbalance_by_the_loss, cases=1500).constants["c"]
    assert best.better == "smaller"
    assert best.refuted is not None and best.supported is not None
    assert 1.9 < best.refuted <= best.supported <= 2
    found = best.counterexample
    assert found is not None and found.rigor == "proved"
    c = arrays(lm.ConjectureCase.from_json(found.case))
    W1, W2, B, eta = c["W1"], c["W2"], c["B"], float(c["eta"])
    drift, lost = np.zeros((W1.shape[1],) * 2), 0.0
    for _ in range(2):
        G = W1 @ W2 - B
        assert eta * (norm(W1, 2) ** 2 + norm(W2, 2) ** 2 + norm(G, 2)) <= 1 + 1e-12
        drift += eta**2 * (W2 @ G.T @ G @ W2.T - W1.T @ G @ G.T @ W1)
        W1, W2 = W1 - eta * G @ W2.T, W2 - eta * W1.T @ G
        lost += float(np.sum((G - W1 @ W2 + B) * (G + W1 @ W2 - B))) / 2
    assert norm(drift) / (eta * lost) == pytest.approx(best.refuted, rel=1e-4)


# -- trajectories ------------------------------------------------------------------------------------------------------
def verdict_with(minus: list[float]) -> Verdict:
    """On alignment of a neuron that starts at the positive point (1, 0), with this negative point."""
    data = Sample("record", {"X": Parameter([[1, 0], minus]), "y": np.array([1.0, -1.0])})
    network = {"data": data, "W": Parameter([[1, 0]]), "signs": np.array([1.0])}
    case = Sample("relu_network", {**network, "loss": "exponential", "eps": 1e-100})
    return verdict_on(open_questions.aligned_on_two_points, lm.ConjectureCase.of(case))


@pytest.mark.parametrize("minus", [[0.5, 0.25], [0.5, -0.375], [0.25, 0.25], [0.75, 0.25]])
def test_alignment_fails_where_the_negative_point_is_inside_the_ball(minus: list[float]) -> None:
    verdict = verdict_with(minus)
    assert verdict.status == "violated" and verdict.rigor == "numerical"
    u = np.array([1, 0]) - minus  # where a neuron that sees both points comes to rest
    cosine = u @ minus / (norm(u) * norm(minus))
    assert np.exp(verdict.log_tightness) / 10 == pytest.approx(cosine, rel=0.02)


@pytest.mark.parametrize("minus", [[0.5, 0.75], [0.25, -1.0], [1.0, 0.5]])
def test_outside_of_the_ball_the_neuron_slides(minus: list[float]) -> None:
    assert verdict_with(minus).status == "undecided"


@pytest.mark.parametrize("minus", [[-0.5, 0.75], [-0.25, -1.0]])
def test_orthogonally_separable_points_align(minus: list[float]) -> None:
    assert verdict_with(minus).status == "holds"


def test_alignment_survives_on_orthogonally_separable_points() -> None:
    report = lm.refute(open_questions.aligned_if_orthogonally_separable, cases=240)
    assert report.status == "survived" and report.deciding >= 5


@pytest.mark.parametrize("seed", range(4))
def test_prelu_neurons_end_at_the_mean_of_the_own_centres_that_they_see(seed: int) -> None:
    rng, p = np.random.default_rng(seed), 1.5
    y = np.array([1.0, 1, 1, -1, -1])
    w = rng.standard_normal(5)
    w[0] = abs(w[0])

    def speed(_: float, u: Any) -> Any:
        active = np.maximum(u, 0)
        return p * (y * active ** (p - 1) - u * (y @ active**p))

    end = solve_ivp(speed, (0, 40), w / norm(w), rtol=1e-10, atol=1e-13).y[:, -1]
    seen = (w > 0) & (y > 0)
    assert np.allclose(end, seen / np.sqrt(seen.sum()), atol=1e-5)


def test_prelu_field_is_that_of_autograd() -> None:
    rng, p, dt = np.random.default_rng(0), 1.5, 1e-6
    y = np.array([1.0, 1, -1])
    for _ in range(20):
        w = rng.standard_normal(3)
        w[:2] = abs(w[:2])
        u = w / norm(w)
        active, k = np.maximum(u, 0), int(np.argmax(u[:2]))
        rate = p * (active[k] ** (p - 1) - u[k] * (y @ active**p))
        before, after = cosine_after(w, y, p, dt)
        assert (after - before) / dt == pytest.approx(rate, abs=1e-4)


def test_normalised_neurons_turn_only_as_they_grow() -> None:
    """Both parametrisations in full, weights and all, against the first integrals of the notebook."""
    x, c0 = np.array([1.0, 0.0]), 1e-4
    direction = np.array([np.cos(1.2), np.sin(1.2)])

    def plain(_: float, s: Any) -> Any:
        return [s[2] * x[0], s[2] * x[1], s[:2] @ x]

    def normalised(_: float, s: Any) -> Any:
        v, a, b = s[:2], s[2], s[3]
        size = norm(v)
        u = v / size
        return [*(a * b / size * (x - u * (u @ x))), b * (u @ x), a * (u @ x)]

    root = np.sqrt(c0)
    W = solve_ivp(plain, (0, 6), [*(root * direction), root], rtol=1e-11, atol=1e-15).y
    sine, c = abs(W[1]) / np.hypot(W[0], W[1]), W[2] * np.hypot(W[0], W[1])
    assert np.allclose(sine, np.sin(1.2) * np.sqrt(c0 / c), rtol=1e-6)
    for size in (1.0, 0.1):
        S = solve_ivp(normalised, (0, 8), [*(size * direction), root, root], rtol=1e-11, atol=1e-15)
        sine, c = abs(S.y[1]) / np.hypot(S.y[0], S.y[1]), S.y[2] * S.y[3]
        assert np.hypot(S.y[0], S.y[1]) == pytest.approx(size, rel=1e-8)
        expected = np.sin(1.2) * np.exp(-(c - c0) / (2 * size**2))
        assert np.allclose(sine, expected, rtol=1e-6, atol=1e-8)
