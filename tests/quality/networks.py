"""The networks behind the builders' models, written as forward passes in torch, with no use of φ.

A network maps named parameter matrices and one input to outputs. What a loss can do at a point is the span of the
autograd gradients of many losses on much random data; a model claims to know that span from polynomials.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv1d, cross_entropy

from theory.conservation.model import Law, Model

Weights = Mapping[str, Tensor]
Forward = Callable[[Weights, Tensor], Tensor]
Metric = Callable[[Weights], Mapping[str, Tensor]]
CLEAR = 1e-7  # singular values above it, relative to the largest, count
NOISE = 1e-11  # those below it do not; in between nothing is decided


@dataclass(frozen=True)
class Network:
    """A model and the network that it should be.

    Attributes:
        forward: weights by block and one input (of shape ``inputs``) to outputs. metric: weights to the diagonal of the
            metric by block, or None for the Euclidean one. classes: the loss is a cross-entropy on the outputs.
        positive: the parameters are positive. samples: how many inputs.
    """

    model: Model
    forward: Forward
    inputs: tuple[int, ...]
    metric: Metric | None = None
    classes: bool = False
    positive: bool = False
    samples: int = 250

    def start(self, seed: int) -> Tensor:
        """Random parameters, (D,)."""
        theta = torch.randn(self.model.size, generator=_generator(seed), dtype=torch.float64)
        return theta.abs() + 0.1 if self.positive else theta

    def weights(self, theta: Tensor) -> dict[str, Tensor]:
        """The parameters by block, each in the shape that its builder documents."""
        return {name: theta[torch.tensor(rows)] for name, rows in self.model.blocks}

    def motions(self, theta: Tensor, seed: int) -> Tensor:
        """M ∇L at θ for one random loss on every input, (samples, D)."""
        generator = _generator(seed + 1000)
        theta = theta.detach().requires_grad_()
        rows = []
        for _ in range(self.samples):
            # near and far, so that biases are met on both sides
            far = torch.randn((), generator=generator, dtype=torch.float64).exp()
            x = far * torch.randn(self.inputs, generator=generator, dtype=torch.float64)
            (slope,) = torch.autograd.grad(self._loss(self.weights(theta), x, generator), theta)
            rows.append(slope)
        found = torch.stack(rows)
        if self.metric is None:
            return found
        diagonal = torch.ones_like(theta)
        given = self.metric(self.weights(theta.detach()))
        for name, block in self.model.blocks:
            if name in given:
                diagonal = diagonal.index_put((torch.tensor(block),), given[name])
        return (found * diagonal).detach()

    def _loss(self, weights: Weights, x: Tensor, generator: torch.Generator) -> Tensor:
        output = self.forward(weights, x)
        if self.classes:
            label = torch.randint(output.numel(), (1,), generator=generator)
            # a temperature: where the softmax saturates, its gradient is only rounding
            warm = output / (1.0 + output.detach().abs().max())
            return cross_entropy(warm.reshape(1, -1), label)
        # neither quadratic nor the same for all outputs
        a = torch.randn(output.shape, generator=generator, dtype=torch.float64)
        b = torch.randn(output.shape, generator=generator, dtype=torch.float64)
        return (a * output + 0.1 * torch.sin(b * output)).sum()


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# -- forward passes


def layers(weights: Weights, x: Tensor, unit: Callable[[Tensor, int], Tensor]) -> Tensor:
    """W_L unit(⋯ unit(W_1 x + b_1) ⋯), biases where there are any."""
    layer = 1
    while f"W{layer + 1}" in weights:
        z = weights[f"W{layer}"] @ x
        if f"B{layer}" in weights:
            z = z + weights[f"B{layer}"][:, 0]
        x = unit(z, layer)
        layer += 1
    return weights[f"W{layer}"] @ x


def linear(weights: Weights, x: Tensor) -> Tensor:
    """Matrices only."""
    return layers(weights, x, lambda z, _: z)


def relu(weights: Weights, x: Tensor) -> Tensor:
    """ReLU on hidden layers."""
    return layers(weights, x, lambda z, _: torch.relu(z))


def leaky(weights: Weights, x: Tensor) -> Tensor:
    """Slopes that differ from neuron to neuron and are not trained."""

    def unit(z: Tensor, layer: int) -> Tensor:
        slopes = 0.1 * layer + 0.07 * torch.arange(1, z.numel() + 1, dtype=torch.float64)
        return torch.where(z > 0, z, slopes * z)

    return layers(weights, x, unit)


def learned(weights: Weights, x: Tensor) -> Tensor:
    """Slopes A_l that are trained."""
    return layers(weights, x, lambda z, k: torch.where(z > 0, z, weights[f"A{k}"][:, 0] * z))


def power(exponent: int) -> Forward:
    """V relu(U x + b)^q."""

    def forward(weights: Weights, x: Tensor) -> Tensor:
        z = weights["U"] @ x
        if "B" in weights:
            z = z + weights["B"][:, 0]
        return weights["V"] @ torch.relu(z) ** exponent

    return forward


def factorisation(weights: Weights, x: Tensor) -> Tensor:
    """x ↦ (U Vᵀ)ᵀ x: the outputs are the columns of U Vᵀ."""
    return weights["V"] @ (weights["U"].T @ x)


def nonnegative(weights: Weights, x: Tensor) -> Tensor:
    """x ↦ (U V)ᵀ x."""
    return weights["V"].T @ (weights["U"].T @ x)


def tensor3(weights: Weights, x: Tensor) -> Tensor:
    """The tensor Σ_r a_r ⊗ b_r ⊗ c_r, contracted with x over its first two modes."""
    full = torch.einsum("ir,jr,kr->ijk", weights["A"], weights["B"], weights["C"])
    return torch.einsum("ij,ijk->k", x, full)


def diagonal(weights: Weights, x: Tensor) -> Tensor:
    """⟨w_1 ⊙ ⋯ ⊙ w_L, x⟩."""
    return (weights["W"].prod(dim=0) * x).sum()


def hadamard(exponent: int) -> Forward:
    """⟨u^L - v^L, x⟩."""
    return lambda weights, x: (
        (weights["U"] ** exponent - weights["V"] ** exponent)[:, 0] * x
    ).sum()


def convolution(weights: Weights, x: Tensor) -> Tensor:
    """conv1d, ReLU, dense layer."""
    bias = weights["B"][:, 0] if "B" in weights else None
    hidden = torch.relu(conv1d(x.reshape(1, 1, -1), weights["F"].unsqueeze(1), bias))
    return weights["V"] @ hidden.flatten()


def stacked_convolution(weights: Weights, x: Tensor) -> Tensor:
    """conv1d after conv1d."""
    y = x.reshape(1, 1, -1)
    for filters in weights.values():
        y = conv1d(y, filters.reshape(1, 1, -1))
    return y.flatten()


def attention(weights: Weights, x: Tensor) -> Tensor:
    """softmax(X Qᵀ K Xᵀ / √h) X Vᵀ O on a sequence X (tokens, d_model)."""
    q, k, v, o = (weights[name] for name in "QKVO")
    scores = (x @ q.T) @ (x @ k.T).T / q.shape[0] ** 0.5
    return torch.softmax(scores, dim=1) @ (x @ v.T) @ o


def convex(weights: Weights, x: Tensor) -> Tensor:
    """V relu(U x)."""
    return weights["V"] @ torch.relu(weights["U"] @ x)


def skip(weights: Weights, x: Tensor) -> Tensor:
    """x + V_b relu(U_b x), block after block."""
    for b in range(1, len(weights) // 2 + 1):
        x = x + weights[f"V{b}"] @ torch.relu(weights[f"U{b}"] @ x)
    return x


# -- models and laws as numbers


def value(law: Law, point: Tensor) -> Tensor:
    """h(point), for autograd."""
    return _polynomial(law.polynomial, point) + sum(
        c * _polynomial(q, point).abs().log() for c, q in law.logarithms
    )


def leak(law: Law, point: Tensor, motions: Tensor) -> float:
    """The largest |⟨∇h, F⟩| over the rows F of ``motions``, relative to Σ_a |∂_a h F_a|."""
    point = point.detach().requires_grad_()
    (slope,) = torch.autograd.grad(value(law, point), point)
    terms = slope * motions
    return float((terms.sum(dim=1).abs() / terms.abs().sum(dim=1).clamp_min(1e-300)).max())


def fields_at(model: Model, point: Tensor) -> Tensor:
    """The model's fields at a point, (fields, N)."""
    rows = torch.zeros(len(model.fields), model.dimension, dtype=torch.float64)
    for i, field in enumerate(model.fields):
        for a, p in field.items():
            rows[i, a] = _polynomial(p, point)
    return rows


def rank(rows: Tensor) -> int:
    """Numerical rank, rows that are zero left out; the gap must be clear."""
    rows = rows[rows.norm(dim=1) > 0.0]
    if not len(rows):
        return 0
    sizes = torch.linalg.svdvals(rows / rows.norm(dim=1, keepdim=True))
    sizes = sizes / sizes[0]
    unclear = [float(s) for s in sizes if NOISE < s < CLEAR]
    assert not unclear, f"no clear rank: {unclear}"
    return int((sizes >= CLEAR).sum())


def _polynomial(p: Mapping[tuple[int, ...], int], point: Tensor) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for monomial, c in p.items():
        term = torch.tensor(float(c), dtype=torch.float64)
        for i in monomial:
            term = term * point[i]
        total = total + term
    return total
