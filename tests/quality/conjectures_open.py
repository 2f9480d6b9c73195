"""The worked conjectures of notebooks/05_conjectures.ipynb, as a file that ``lemmata refute`` can read.

What is known about each, and by which argument, is in the notebook; the counterexamples are checked in
test_conjectures_open.py without the library's interpreters.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

import lemmata as lm
from lemmata import strategies as st

norm, relu, step = np.linalg.norm, lm.ops.relu, lm.ops.step


# -- a bound for two-layer linear networks ------------------------------------------------------------------------
def pl_sides(net: Any, swapped: bool) -> tuple[Any, Any]:
    """Both sides of the lower bound on λ_n(W1 W1ᵀ) + λ_m(W2ᵀ W2) by the imbalance D and W = W1 W2."""
    W1, W2 = net.W1, net.W2
    n, m = W1.shape[0], W2.shape[1]
    D = np.linalg.eigvalsh(net.imbalance())  # ascending
    sigma = np.linalg.svdvals(W1 @ W2)

    def kth(values: Any, k: int) -> Any:  # the k-th largest of descending values, 0 beyond the last
        return relu(values[k - 1]) if k <= len(values) else 0

    plus, minus = D[::-1], -D
    gap_plus, gap_minus = kth(plus, 1) - kth(plus, n), kth(minus, 1) - kth(minus, m)
    gap = kth(plus, n) + kth(minus, m)
    s_n, s_m = (kth(sigma, m), kth(sigma, n)) if swapped else (kth(sigma, n), kth(sigma, m))
    parts = [np.sqrt((g + gap) ** 2 + 4 * s**2) - g for g, s in ((gap_minus, s_n), (gap_plus, s_m))]
    left = kth(np.linalg.eigvalsh(W1 @ W1.T)[::-1], n) + kth(np.linalg.eigvalsh(W2.T @ W2)[::-1], m)
    return left, (parts[0] + parts[1]) / 2


@lm.conjecture(case=st.linear_networks(shapes=(1, 3)))
def pl_constant(net: Any) -> Any:
    """The bound with σ_n(W) and σ_m(W) in their places."""
    left, right = pl_sides(net, swapped=False)
    return right <= left


@lm.conjecture(case=st.linear_networks(shapes=(1, 3)))
def pl_constant_swapped(net: Any) -> Any:
    """The same with two indices exchanged."""
    left, right = pl_sides(net, swapped=True)
    return right <= left


# -- 1. pReLU with 1 < p < 2 --------------------------------------------------------------------------------------
def nearest(w: Any, y: Any, p: Fraction) -> tuple[Any, Any]:
    """The two parts of (1/p) d/dt cos(w, μ_k) for the nearest centre k of the positive class, v > 0."""
    u = w / norm(w)
    top = np.max(u[: np.count_nonzero(y > 0)])
    return top ** (p - 1), top * np.sum(y * relu(u) ** p)


def recedes(weights: Any, p: Fraction, negative: int = 0) -> lm.Conjecture:
    """The cosine with the nearest centre does not increase; the last ``negative`` centres are of the other class."""

    @lm.conjecture(case=weights)
    def nearest_centre_recedes(w: Any) -> Any:
        y = np.array([1] * (len(w) - negative) + [-1] * negative)
        lm.assume(np.max(w[: len(w) - negative]) > 0)
        gain, loss = nearest(w, y, p)
        return gain <= loss

    return nearest_centre_recedes


IN_CONE, ANYWHERE = st.vectors((2, 4), low=0), st.vectors((2, 4))
recedes_3_2, recedes_5_4 = recedes(IN_CONE, Fraction(3, 2)), recedes(IN_CONE, Fraction(5, 4))
recedes_anywhere = recedes(ANYWHERE, Fraction(3, 2))
recedes_from_two_classes = recedes(IN_CONE, Fraction(3, 2), negative=1)


@lm.conjecture(case=st.vectors((2, 4), low=0))
def cosines_even_out(w: Any) -> Any:
    """Of two active centres of the neuron's own class, the ratio of the cosines tends to 1, wherever the rest is."""
    p, larger, smaller = Fraction(3, 2), w[0], w[1]
    lm.assume(larger >= smaller)
    return larger ** (p - 1) * smaller <= larger * smaller ** (p - 1)


# -- 2. alignment without orthogonal separability -----------------------------------------------------------------
def apart(X: Any) -> Any:
    """Two points of different classes are separable unless they lie on one ray; here: on no line through 0."""
    return abs(X[0, 0] * X[1, 1] - X[0, 1] * X[1, 0])


@lm.conjecture(case=st.record(X=st.matrices(2, 2, scales=False), w=st.vectors(2, scales=False)))
def extremal_directions_avoid_the_other_class(case: Any) -> Any:
    """A positive neuron at an extremal direction w = x_a(w) is inactive on the negative point, the second one."""
    X, y = case.X, np.array([1, -1])
    lm.assume(apart(X) > 0)
    w = (step(X @ case.w) * y) @ X
    lm.assume(lm.ops.equal(step(X @ w), step(X @ case.w)))
    return X[1] @ w <= 0


@lm.conjecture(case=st.record(data=st.separable(n=(1, 4), d=(1, 3)), seen=st.vectors(4)))
def neurons_that_see_a_point_move(case: Any) -> Any:
    """Separable with margin γ: |x_a(w)| >= γ · (number of active points), whatever the activation pattern."""
    X, y, seen = case.data.X, case.data.y, step(case.seen)[: case.data.n]
    return case.data.margin * np.sum(seen) <= norm((seen * y) @ X)


def aligned(case: Any) -> Any:
    """At the end of the early phase no positive neuron is active on a negative point, by a cosine of 1/10.

    Neurons start active on a point of their own class. Two points, and so separable: not on one line through 0, with
    an angle whose sine is at least 1/4; the negative one is at most twice as long as the positive one.
    """
    X, y, h = case.X, case.y, case.W.shape[0]
    norms = norm(X, axis=1)
    lm.assume(np.max(norms) <= 2 * np.max(relu(y) * norms))
    lm.assume(apart(X) >= norms[0] * norms[1] / 4)
    lm.assume(np.max((X @ case.W.T) * relu(np.outer(y, np.sign(case.v))), axis=0) > 0)
    T = np.log(1 / (h**0.5 * case.eps)) / (4 * case.X.shape[0] * np.max(norms))
    flow, q = case.flow(until=T), lm.quantity
    cosine = flow.z / (q.norm(flow.w) * q.norm(flow.x))
    wrong = q.relu(q.sign(flow.v)) * q.relu(-flow.y) * cosine
    return flow.at(q.amax(q.amax(wrong, "j"), "i"), T) <= 1 / 10


def early(data: Any) -> Any:
    """A balanced network at a tiny scale."""
    return st.relu_networks(balanced=True, data=data, h=1, loss="exponential", eps=1e-100)


TWO_POINTS = st.record(X=st.matrices(2, 2, low=-4, high=4), y=np.array([1.0, -1.0]))
aligned_on_two_points = lm.conjecture(case=early(TWO_POINTS))(aligned)
aligned_if_orthogonally_separable = lm.conjecture(
    case=early(st.orthogonally_separable(mu=0.25, n=2, d=2))
)(aligned)


# -- 3. weight normalisation ---------------------------------------------------------------------------------------
NEURON = {"v": st.vectors(2), "x": st.vectors(2), "a": st.positive(), "b": st.positive()}


def turned(case: Any) -> tuple[Any, Any]:
    """The cosines between v and v after a step, with and without normalisation, from one function and one v."""
    v, x = case.v, case.x  # x = -Σ_i ∂l/∂f_i x_i over the active points: the same for both
    size = norm(v)
    pull = case.eta * case.a * case.b / size
    moved = [v + pull * (x - v * (v @ x) / size**2), v + pull * x]
    return tuple((v @ after) / (size * norm(after)) for after in moved)


@lm.conjecture(case=st.record(**NEURON, eta=st.step_sizes()))
def normalisation_slows_a_step(case: Any) -> Any:
    """A step with weight normalisation turns v no further than one without."""
    lm.assume(norm(case.v) > 0)
    normalised, plain = turned(case)
    return plain <= normalised


@lm.conjecture(case=st.record(**NEURON, eta=st.step_sizes()))
def normalisation_speeds_up_growing_neurons(case: Any) -> Any:
    """Where the neuron grows, <v, x> > 0, it turns at least as far."""
    lm.assume(norm(case.v) > 0)
    lm.assume(case.v @ case.x > 0)
    normalised, plain = turned(case)
    return normalised <= plain


@lm.conjecture(case=st.record(**NEURON, size=st.positive()))
def normalisation_slows_at_every_size(case: Any) -> Any:
    """|u'| for the direction u of a normalised neuron with |v| = size, and of a balanced neuron: the same function."""
    v, x, c = case.v, case.x, case.a * case.b
    lm.assume(norm(v) > 0)
    across = norm(x - v * (v @ x) / (v @ v))
    return c * across / case.size**2 <= across


# -- 4. the imbalance of gradient descent -------------------------------------------------------------------------
def run_of_descent(case: Any, steps: int) -> tuple[Any, Any]:
    """|D_k - D_0| and L_0 - L_k, for a run on which the step size is at most 1/smoothness at every iterate.

    Both are sums of what each step adds, so that nothing cancels where steps are small.
    """
    eta, turn, lost = case.eta, 0, 0
    for net in case.net.descent(eta, steps)[:-1]:
        W1, W2, G = net.W1, net.W2, net.end_gradient()  # G = W1 W2 - B
        s1, s2, s3 = (np.linalg.svdvals(A)[0] for A in (W1, W2, G))
        lm.assume(eta * (s1**2 + s2**2 + s3) <= 1)
        moved = (
            G @ W2.T @ W2 + W1 @ W1.T @ G - eta * G @ W2.T @ W1.T @ G
        )  # W1 W2 goes to W1 W2 - η moved
        lost = lost + eta * np.sum(moved * (2 * G - eta * moved)) / 2
        turn = turn + eta**2 * (W2 @ G.T @ G @ W2.T - W1.T @ G @ G.T @ W1)
    return norm(turn), lost


TRAINED = st.record(net=st.linear_networks(shapes=(1, 2)), eta=st.step_sizes())


@lm.conjecture(case=TRAINED)
def imbalance_by_the_step_size(case: Any) -> Any:
    """|D_k - D_0| <= η."""
    drift, _ = run_of_descent(case, steps=2)
    return drift <= case.eta


@lm.conjecture(case=TRAINED)
def imbalance_by_the_loss(case: Any) -> Any:
    """|D_k - D_0| <= c η (L_0 - L_k)."""
    drift, lost = run_of_descent(case, steps=2)
    lm.assume(lost > 0)
    return drift <= lm.constant("c", low=0, high=4) * case.eta * lost


# -- 5. neural collapse without regularisation --------------------------------------------------------------------
K, EACH = 2, 2
Y = np.kron(np.eye(K), np.ones((1, EACH)))  # (K, N): the classes of the columns of H
WITHIN = np.eye(K * EACH) - Y.T @ Y / EACH  # H @ WITHIN: features minus the means of their classes
BETWEEN = Y.T @ Y / EACH - 1 / (K * EACH)  # H @ BETWEEN: means of the classes minus the mean of all


def train(W: Any, H: Any, eta: Any, steps: int, loss: str) -> list[tuple[Any, Any]]:
    """Gradient descent on the mean loss of Z = WᵀH over W (d, K) and the features H (d, N) themselves."""
    run, N = [(W, H)], K * EACH
    for _ in range(steps):
        Z = W.T @ H
        P = np.exp(Z) / np.sum(np.exp(Z), axis=0) if loss == "ce" else Z
        W, H = W - eta * H @ (P - Y).T / N, H - eta * W @ (P - Y) / N
        lm.assume(eta * norm(W, 2) ** 2 <= N)
        lm.assume(eta * norm(H, 2) ** 2 <= N)
        run.append((W, H))
    return run


def variability(H: Any) -> Any:
    """Within-class over between-class variability."""
    return norm(H @ WITHIN) / norm(H @ BETWEEN)


FEATURES = {"H": st.matrices((1, 2), K * EACH, scales=False), "eta": st.step_sizes(4.0)}


def features(d: int) -> Any:
    """W (d, K), H (d, N) and a step size."""
    H = st.matrices(d, K * EACH, scales=False)
    return st.record(W=st.matrices(d, K, scales=False), H=H, eta=st.step_sizes(4.0))


@lm.conjecture(case=st.dimensions(2).flatmap(features))
def within_class_differences_do_not_grow(case: Any) -> Any:
    """Cross-entropy, every step: no two features of a class move apart."""
    lm.assume(case.eta * norm(case.W, 2) ** 2 <= K * EACH)
    run = train(case.W, case.H, case.eta, 2, "ce")
    return [norm(b @ WITHIN) <= norm(a @ WITHIN) for (_, a), (_, b) in pairwise(run)]


@lm.conjecture(case=st.dimensions(2).flatmap(features))
def variability_decreases(case: Any) -> Any:
    """Square loss, any start: the relative variability does not grow in a step."""
    (_, before), (_, after) = train(case.W, case.H, case.eta, 1, "mse")
    lm.assume(norm(before @ BETWEEN) > 0)
    lm.assume(norm(after @ BETWEEN) > 0)
    return variability(after) <= variability(before)


def from_zero_weights(loss: str) -> lm.Conjecture:
    """W = 0 at the start: the relative variability does not grow in any of six steps."""

    @lm.conjecture(case=st.record(**FEATURES))
    def variability_decreases_from_zero_weights(case: Any) -> Any:
        lm.assume(norm(case.H @ BETWEEN) > 0)
        run = train(0 * case.H[:, :K], case.H, case.eta, 6, loss)
        for _, after in run:
            lm.assume(norm(after @ BETWEEN) > 0)
        return [variability(b) <= variability(a) for (_, a), (_, b) in pairwise(run[1:])]

    return variability_decreases_from_zero_weights


from_zero_ce, from_zero_mse = from_zero_weights("ce"), from_zero_weights("mse")


# -- 6. KKT points of pReLU ----------------------------------------------------------------------------------------
P = 4


def one_neuron(w: Any) -> tuple[Any, Any, Any]:
    """Direction, margins on the centres that it serves, and multipliers of one positive neuron in the best scale."""
    u = w / norm(w)
    return u, u**P / np.min(u**P), u ** (2 - P)


@lm.conjecture(case=st.vectors((1, 3), low=0))
def multipliers_exist(w: Any) -> Any:
    """With λ_k = u_k^{2-p} every direction is stationary: u = Σ_k λ_k (p u_k^{p-1} μ_k - (p-1) u_k^p u)."""
    lm.assume(np.min(w) > 0)
    u, _, multipliers = one_neuron(w)
    return {
        "w": lm.ops.equal(
            P * multipliers * u ** (P - 1) - (P - 1) * np.sum(multipliers * u**P) * u, u
        ),
        "v": lm.ops.equal(np.sum(multipliers * u**P), 1),
    }


@lm.conjecture(case=st.vectors((1, 3), low=0))
def kkt_neurons_are_centres(w: Any) -> Any:
    """Stationary with these multipliers and with margin 1, up to 1/1000, wherever they act: then a centre."""
    lm.assume(np.min(w) > 0)
    u, margins, _ = one_neuron(w)
    lm.assume(margins <= Fraction(1001, 1000))
    return Fraction(99, 100) <= np.max(u)


@lm.conjecture(case=st.vectors((1, 4)))
def centres_are_optimal(w: Any) -> Any:
    """No direction is priced above 1 by the multipliers of the centres, λ_k = 1."""
    lm.assume(norm(w) > 0)
    return np.sum(relu(w / norm(w)) ** P) <= 1
