"""Polynomial vector fields as straight-line programs, and what the Taylor integrator needs of them.

Every monomial is a product of two earlier ones, so that common factors are computed once. The same
program then runs on values, on truncated power series, and on *bounds*: coefficient sums of the
tails that truncation drops, rounding errors, effects of a perturbation, second derivatives. A bound
of a product follows from those of its factors, hence none of them is a matter of samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from numerics.errors import NumericsError

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Monomial = tuple[int, ...]
Terms = tuple[tuple[float, Monomial], ...]

UNIT = 2.0**-53
# Covers the rounding of the bounds themselves, and products of two errors, which are far smaller.
SLACK = 1.0 + 2.0**-40


@dataclass(frozen=True)
class PolynomialField:
    """The vector field of theta' = F(theta), theta in R^N, F polynomial.

    Args:
        variables: N >= 1.
        terms: per component a tuple of (coefficient, indices of the variables with repetition):
            F_0 = 2 x0^2 x3 - 1 is ((2.0, (0, 0, 3)), (-1.0, ())).

    Raises:
        NumericsError: a wrong number of components, an index out of range, a coefficient that is
            not a finite float.
    """

    variables: int
    terms: tuple[Terms, ...]

    def __post_init__(self) -> None:
        if self.variables < 1:
            raise NumericsError("a polynomial field needs at least one variable")
        if len(self.terms) != self.variables:
            raise NumericsError(
                f"the field has {len(self.terms)} components in {self.variables} variables; "
                "give one tuple of terms per variable (an empty one where the component vanishes)"
            )
        check_terms(self.terms, self.variables)

    @cached_property
    def degree(self) -> int:
        """The largest degree of a term."""
        return max((len(m) for terms in self.terms for _, m in terms), default=0)

    @cached_property
    def form(self) -> Form:
        """The compiled components."""
        return Form(self.variables, self.terms)

    @cached_property
    def jacobian(self) -> Jacobian:
        """The compiled derivatives."""
        return Jacobian(self)


def check_terms(polynomials: Sequence[Terms], variables: int) -> None:
    """Raise ``NumericsError`` unless these are polynomials in that many variables."""
    for number, terms in enumerate(polynomials):
        for coefficient, monomial in terms:
            if not math.isfinite(coefficient):
                raise NumericsError(
                    f"polynomial {number} has the coefficient {coefficient}; coefficients must be finite floats"
                )
            if any(not 0 <= i < variables for i in monomial):
                raise NumericsError(
                    f"polynomial {number} has the monomial {monomial}, whose indices are not all in "
                    f"0..{variables - 1}"
                )


def monomials_of(polynomials: Sequence[Terms]) -> tuple[tuple[Monomial, ...], ...]:
    """The monomials of all terms: what polynomials that differ in their coefficients share."""
    return tuple(tuple(m for _, m in terms) for terms in polynomials)


def coefficients_of(polynomials: Sequence[Terms]) -> Array:
    """The coefficients of all terms, in order."""
    return np.array([float(c) for terms in polynomials for c, _ in terms])


class Program:
    """Products that build all the wanted monomials. Node 0 is 1, nodes 1..N are the variables.

    Args:
        levels: index arrays (left, right, node); products of a level use earlier levels only.
    """

    def __init__(self, variables: int, monomials: Iterable[Monomial]) -> None:
        self.variables = variables
        depth: dict[Monomial, int] = {(): 0, **{(i,): 0 for i in range(variables)}}

        def add(monomial: Monomial) -> int:
            if monomial not in depth:
                half = (len(monomial) + 1) // 2
                depth[monomial] = 1 + max(add(monomial[:half]), add(monomial[half:]))
            return depth[monomial]

        for monomial in monomials:
            add(tuple(sorted(monomial)))
        # A stable sort: the constant and the variables keep the first places.
        order = sorted(depth, key=lambda m: (depth[m], len(m), m))
        self.index = {monomial: node for node, monomial in enumerate(order)}
        self.size = len(order)
        self.levels: list[tuple[Ints, Ints, Ints]] = []
        for level in range(1, max(depth.values()) + 1):
            chosen = [m for m in order if depth[m] == level]
            halves = [(len(m) + 1) // 2 for m in chosen]
            left = [self.index[m[:h]] for m, h in zip(chosen, halves, strict=True)]
            right = [self.index[m[h:]] for m, h in zip(chosen, halves, strict=True)]
            nodes = [self.index[m] for m in chosen]
            self.levels.append((_ints(left), _ints(right), _ints(nodes)))
        empty = (_ints([]),) * 3
        # (left, right, node) of all products, level by level
        self.products = tuple(map(np.concatenate, zip(empty, *self.levels, strict=True)))

    def start(self, one: float, variables: Array) -> Array:
        """(size, ...) with the constant and the variables (N, ...) filled in."""
        nodes = np.zeros((self.size, *variables.shape[1:]))
        nodes[0] = one
        nodes[1 : self.variables + 1] = variables
        return nodes

    def values(self, x: Array) -> Array:
        """All monomials at the points x: (N, P) -> (size, P)."""
        nodes = self.start(1.0, x)
        for left, right, out in self.levels:
            nodes[out] = nodes[left] * nodes[right]
        return nodes

    def expand(self, coefficients: Array) -> Array:
        """Series of all monomials, truncated at degree < K, along the curve (K+1, N)."""
        from numerics.polynomial_kernels import expand

        order = coefficients.shape[0] - 1
        series = self.start(0.0, coefficients[:order].T)
        series[0, 0] = 1.0
        expand(*self.products, series)
        return series

    def tails(self, sizes: Array, last: Array) -> Array:
        """Coefficient sums of degree >= K that truncation drops.

        Args:
            sizes: (size, K) |coefficients| of degree < K. last: (N,) of degree K of the variables.
        """
        order = sizes.shape[1]
        suffix = np.cumsum(sizes[:, ::-1], axis=1)[:, ::-1]
        total = suffix[:, 0]
        tails = self.start(0.0, last)
        for left, right, out in self.levels:
            mixed = np.einsum("ij,ij->i", sizes[left, 1:], suffix[right, order - 1 : 0 : -1])
            a, b = tails[left], tails[right]
            tails[out] = mixed + a * total[right] + total[left] * b + a * b
        return tails

    def rounding(self, total: Array) -> Array:
        """Rounding errors e_k of the coefficients of a series, as sum_k e_k / (k+1).

        The coefficient k of a product takes k+1 roundings, which the weight cancels: the sum grows
        by one rounding of the coefficient sums ``total``: (size,) per product.
        """
        errors = np.zeros(self.size)
        for left, right, out in self.levels:
            a, b = total[left], total[right]
            errors[out] = errors[left] * b + a * errors[right] + UNIT * a * b
        return errors * SLACK

    def perturbation(self, sizes: Array, radius: float | Array) -> Array:
        """Bound on |m(x+d) - m(x)| for |x_i| <= sizes: (N, ...), |d_i| <= radius; -> (size, ...).

        The shape of ``sizes`` and that of ``radius`` are broadcast against each other.
        """
        sizes, limits = np.broadcast_arrays(sizes, radius)
        value, change = self.start(1.0, sizes), self.start(0.0, limits)
        for left, right, out in self.levels:
            a, b, da, db = value[left], value[right], change[left], change[right]
            value[out] = a * b
            change[out] = da * b + a * db + da * db
        return change * SLACK

    def second_derivatives(self, coefficients: Array) -> Array:
        """Bound on the second derivatives along the curve (K+1, N), on [0, 1]; -> (size,)."""
        k = np.arange(coefficients.shape[0])[:, None]
        sizes = np.abs(coefficients)
        zero = self.start(1.0, sizes.sum(axis=0))
        one = self.start(0.0, (k * sizes).sum(axis=0))
        two = self.start(0.0, (k * (k - 1) * sizes).sum(axis=0))
        for left, right, out in self.levels:
            zero[out] = zero[left] * zero[right]
            one[out] = one[left] * zero[right] + zero[left] * one[right]
            two[out] = (
                two[left] * zero[right] + 2.0 * one[left] * one[right] + zero[left] * two[right]
            )
        return two * SLACK


@dataclass(frozen=True)
class _Layout:
    """What polynomials with the same monomials share: per term the polynomial (row) and the node (column)."""

    program: Program
    outputs: int
    rows: Ints
    columns: Ints


@lru_cache(maxsize=32)
def _layout(variables: int, monomials: tuple[tuple[Monomial, ...], ...]) -> _Layout:
    ordered = [[tuple(sorted(m)) for m in own] for own in monomials]
    program = Program(variables, sorted({m for own in ordered for m in own}))
    rows = [row for row, own in enumerate(ordered) for _ in own]
    columns = [program.index[m] for own in ordered for m in own]
    return _Layout(program, len(monomials), _ints(rows), _ints(columns))


class Form:
    """Polynomials as linear combinations of the nodes of a program.

    Args:
        matrix, sizes: (outputs, nodes) sparse coefficients and their absolute values.
        counts: (outputs,) roundings in the sum of an output, per unit of its absolute sum.
    """

    def __init__(self, variables: int, polynomials: Sequence[Terms]) -> None:
        self._assemble(_layout(variables, monomials_of(polynomials)), coefficients_of(polynomials))

    @classmethod
    def assembled(cls, layout: _Layout, coefficients: Array) -> Form:
        """From what is known of its monomials, and the coefficients of all terms in order."""
        form = cls.__new__(cls)
        form._assemble(layout, coefficients)
        return form

    def _assemble(self, layout: _Layout, coefficients: Array) -> None:
        from scipy import sparse  # not before there is a polynomial: it costs more than numpy

        self.program = layout.program
        shape = (layout.outputs, layout.program.size)
        pairs = (layout.rows, layout.columns)
        # Repeated monomials are added up by the sparse format; that rounding is counted here.
        self.matrix = sparse.csr_matrix((coefficients, pairs), shape=shape)
        self.sizes = sparse.csr_matrix((np.abs(coefficients), pairs), shape=shape)
        self.counts = np.bincount(layout.rows, minlength=shape[0]).astype(np.float64) + 2.0

    def solve(self, theta: Array, unit: float, order: int) -> tuple[Array, Array]:
        """Series of the nodes along theta' = F(theta) in t/unit, F the polynomials.

        Returns:
            (nodes, K) the coefficients below the degree K, and (N,) those of theta of the degree K.
        """
        from numerics.polynomial_kernels import grow  # loads numba

        series = self.program.start(0.0, np.zeros((theta.size, order)))
        series[0, 0] = 1.0
        rows = (self.matrix.indptr, self.matrix.indices, self.matrix.data)
        return series, grow(*self.program.products, *rows, theta, unit, series)

    def values(self, x: Array) -> Array:
        """The polynomials at the points x: (N, P) -> (outputs, P)."""
        return np.asarray(self.matrix @ self.program.values(x))

    def absolute(self, x: Array) -> Array:
        """The sums of the absolute values of the terms at x: (N, P) -> (outputs, P)."""
        return np.asarray(self.sizes @ self.program.values(np.abs(x)))


@dataclass(frozen=True)
class _Derivatives:
    """What the derivatives of fields with the same monomials share.

    Args:
        rows, columns: i and j of the nonzero entries dF_i/dx_j. layout: of their terms.
        sources, factors: per term the term of the field that it comes from, and the exponent there.
    """

    rows: Ints
    columns: Ints
    layout: _Layout
    sources: Ints
    factors: Array


@lru_cache(maxsize=32)
def _derivatives(variables: int, monomials: tuple[tuple[Monomial, ...], ...]) -> _Derivatives:
    entries: dict[tuple[int, int], list[tuple[int, int, Monomial]]] = {}
    source = 0
    for i, own in enumerate(monomials):
        for monomial in own:
            for j in sorted(set(monomial)):
                rest = list(monomial)
                rest.remove(j)
                term = (source, monomial.count(j), tuple(rest))
                entries.setdefault((i, j), []).append(term)
            source += 1
    terms = [term for own in entries.values() for term in own]
    return _Derivatives(
        _ints([i for i, _ in entries]),
        _ints([j for _, j in entries]),
        _layout(variables, tuple(tuple(rest for *_, rest in own) for own in entries.values())),
        _ints([number for number, _, _ in terms]),
        np.array([float(count) for _, count, _ in terms]),
    )


class Jacobian:
    """The derivative dF_i/dx_j of a field, as a ``Form`` of its nonzero entries."""

    def __init__(self, field: PolynomialField) -> None:
        found = _derivatives(field.variables, monomials_of(field.terms))
        self.variables = field.variables
        self.rows, self.columns = found.rows, found.columns
        coefficients = found.factors * coefficients_of(field.terms)[found.sources]
        self.form = Form.assembled(found.layout, coefficients)
        # Products of up to ``degree`` factors and the sum of an entry.
        self.roundings = float(self.form.counts.max(initial=0.0)) + field.degree

    def symmetric(self, entries: Array) -> Array:
        """(entries, ...) -> (..., N, N), the symmetric part."""
        full = np.zeros((*entries.shape[1:], self.variables, self.variables))
        full[..., self.rows, self.columns] = np.moveaxis(entries, 0, -1)
        return 0.5 * (full + np.swapaxes(full, -1, -2))

    def norm(self, bounds: Array) -> float:
        """A bound on the spectral norm of a symmetric part whose entries are bounded: (entries,)."""
        full = self.symmetric(bounds)
        return min(norm(full), float(full.sum(axis=1).max()))


def norm(x: Array) -> float:
    """Euclidean norm of all entries, without overflow or underflow of their squares."""
    largest = float(np.abs(x).max(initial=0.0))
    if not 0.0 < largest < math.inf:
        return largest
    return largest * math.sqrt(float(((x / largest) ** 2).sum()))


def norms(x: Array) -> Array:
    """`norm` of every column."""
    largest = np.abs(x).max(axis=0, initial=0.0)
    plain = (largest > 0.0) & (largest < math.inf)
    scaled = x / np.where(plain, largest, 1.0)
    return np.where(plain, largest * np.sqrt((scaled**2).sum(axis=0)), largest)


def _ints(values: Sequence[int]) -> Ints:
    return np.array(values, dtype=np.int64)
