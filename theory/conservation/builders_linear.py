"""Models that are products of matrices: linear networks, factorisations, attention, tensors, diagonal networks.

φ and the laws are those of Marcotte, Gribonval & Peyré (NeurIPS 2023, Section 3; ICML 2024; and 2025 for attention).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product
from string import ascii_uppercase

from theory.conservation.builders_layout import (
    Block,
    Layout,
    check_layers,
    check_power,
    check_widths,
    columns_of,
    difference,
    entries,
    gram_laws,
    inner,
    latex_block,
    matrix_product,
    no_logits,
    norm_law,
    output_groups,
    spelled,
)
from theory.conservation.model import Law, Model, entropy_metric
from theory.conservation.polynomials import Polynomial, add, multiply
from theory.errors import LemmataError


def linear(widths: Sequence[int]) -> Model:
    """Linear network x ↦ W_L ⋯ W_1 x, widths from input to output, W_l of shape (w_l, w_{l-1}).

    φ: the entries of the product, (w_L w_0,), row by row. Laws: W_l W_lᵀ - W_{l+1}ᵀ W_{l+1}.

    Raises:
        LemmataError: fewer than two widths, or one below 1.
    """
    widths = check_layers("linear", widths, 2)
    layout = Layout()
    weights = [
        layout.matrix(f"W{k + 1}", after, before)
        for k, (before, after) in enumerate(pairwise(widths))
    ]
    total = entries(weights[0])
    for w in weights[1:]:
        total = matrix_product(entries(w), total)
    return layout.model(
        spelled("linear", *widths),
        phi=tuple(p for row in total for p in row),
        groups=output_groups(widths[-1], widths[0], output_first=True),
        named_laws=tuple(law for k in range(len(weights) - 1) for law in _balance(weights, k)),
    )


def _balance(weights: Sequence[Block], k: int) -> tuple[Law, ...]:
    a, b = f"W{k + 1}", f"W{k + 2}"
    la, lb = latex_block(a), latex_block(b)
    return gram_laws(
        weights[k],
        columns_of(weights[k + 1]),
        f"{a}{a}ᵀ - {b}ᵀ{b}",
        rf"{la} {{{la}}}^\top - {{{lb}}}^\top {lb}",
    )


def matrix_factorisation(n: int, m: int, r: int) -> Model:
    """Factorisation φ = U Vᵀ with U (n, r) and V (m, r). Laws: UᵀU - VᵀV.

    Outputs, for a cross-entropy, are the columns of U Vᵀ (the rows of V).

    Raises:
        LemmataError: a width below 1.
    """
    check_widths("factorisation", n=n, m=m, r=r)
    layout = Layout()
    u, v = layout.matrix("U", n, r), layout.matrix("V", m, r)
    return layout.model(
        spelled("factorisation", n, m, r),
        phi=_scalar_products(u, v),
        groups=output_groups(m, n, output_first=False),
        named_laws=gram_laws(columns_of(u), columns_of(v), "UᵀU - VᵀV", r"U^\top U - V^\top V"),
    )


def _scalar_products(rows: Block, others: Block) -> tuple[Polynomial, ...]:
    return tuple(inner(a, b) for a in rows for b in others)


def nmf(n: int, r: int, m: int) -> Model:
    """Nonnegative factorisation φ = U V, U (n, r) and V (r, m), under the mirror flow of the entropy.

    The metric is diag(θ). Laws, of degree 1: Σ_i U[i,k] - Σ_j V[k,j] (ICML 2024, Section 4).

    Raises:
        LemmataError: a width below 1.
    """
    check_widths("nmf", n=n, r=r, m=m)
    layout = Layout()
    u, v = layout.matrix("U", n, r), layout.matrix("V", r, m)
    laws = tuple(
        Law(
            difference({(i,): 1 for i in column}, {(j,): 1 for j in row}),
            name=f"Σ_i U[i,{k}] - Σ_j V[{k},j]",
            latex_name=rf"\sum_i U_{{i,{k}}} - \sum_j V_{{{k},j}}",
        )
        for k, (column, row) in enumerate(zip(columns_of(u), v, strict=True), start=1)
    )
    size = len(layout.names)
    return layout.model(
        spelled("nmf", n, r, m),
        phi=_scalar_products(u, columns_of(v)),
        metric=entropy_metric(range(size), size),
        groups=output_groups(m, n, output_first=False),
        named_laws=laws,
        default_degree=1,
    )


def attention(d_model: int, d_head: int) -> Model:
    """One attention head: φ = the entries of QᵀK and of VᵀO, each factor of shape (d_head, d_model).

    Laws: QQᵀ - KKᵀ and VVᵀ - OOᵀ.

    Raises:
        LemmataError: a width below 1.
    """
    check_widths("attention", d_model=d_model, d_head=d_head)
    layout = Layout()
    q, k, v, o = (layout.matrix(name, d_head, d_model) for name in "QKVO")
    phi = _scalar_products(columns_of(q), columns_of(k)) + _scalar_products(
        columns_of(v), columns_of(o)
    )
    return layout.model(
        spelled("attention", d_model, d_head),
        phi=phi,
        groups=no_logits(phi),
        named_laws=gram_laws(q, k, "QQᵀ - KKᵀ", r"Q Q^\top - K K^\top")
        + gram_laws(v, o, "VVᵀ - OOᵀ", r"V V^\top - O O^\top"),
    )


def cp(sizes: Sequence[int], rank: int) -> Model:
    """Tensor factorisation φ_{ij…} = Σ_r a_{ir} b_{jr} ⋯, one factor (n_k, rank) for each mode.

    Laws: ‖a_r‖² - ‖b_r‖² between successive modes; for two modes all of AᵀA - BᵀB. Outputs are the last mode.

    Raises:
        LemmataError: fewer than two modes, more than 26, or a size below 1.
    """
    sizes = tuple(sizes)
    check_widths("cp", sizes=sizes, rank=rank)
    if not 2 <= len(sizes) <= len(ascii_uppercase):
        raise LemmataError(f"cp: {len(sizes)} modes; give between 2 and 26 sizes, then the rank")
    layout = Layout()
    factors = [
        layout.matrix(letter, n, rank) for letter, n in zip(ascii_uppercase, sizes, strict=False)
    ]
    phi = tuple(
        {tuple(f[i][r] for f, i in zip(factors, at, strict=True)): 1 for r in range(rank)}
        for at in product(*map(range, sizes))
    )
    outputs = sizes[-1]
    columns = [columns_of(f) for f in factors]
    if len(sizes) == 2:
        laws = gram_laws(columns[0], columns[1], "AᵀA - BᵀB", r"A^\top A - B^\top B")
    else:
        laws = tuple(
            norm_law(
                columns[k][r],
                columns[k + 1][r],
                f"‖{a}[:,{r + 1}]‖² - ‖{b}[:,{r + 1}]‖²",
                rf"\lVert {a}_{{:,{r + 1}}} \rVert^2 - \lVert {b}_{{:,{r + 1}}} \rVert^2",
            )
            for k, (a, b) in enumerate(pairwise(ascii_uppercase[: len(sizes)]))
            for r in range(rank)
        )
    return layout.model(
        spelled("cp", *sizes, rank),
        phi=phi,
        groups=output_groups(outputs, len(phi) // outputs, output_first=False),
        named_laws=laws,
    )


def diagonal(d: int, depth: int) -> Model:
    """Diagonal linear network: β_i = Π_l w_{l,i}, weights (depth, d). Laws: w_{l,i}² - w_{l+1,i}².

    Raises:
        LemmataError: a width below 1.
    """
    check_widths("diagonal", d=d, depth=depth)
    layout = Layout()
    w = layout.matrix("W", depth, d)
    return layout.model(
        spelled("diagonal", d, depth),
        phi=[{column: 1} for column in columns_of(w)],
        groups=output_groups(1, d, output_first=False),
        named_laws=(
            norm_law(
                (w[k][i],),
                (w[k + 1][i],),
                f"W[{k + 1},{i + 1}]² - W[{k + 2},{i + 1}]²",
                f"W_{{{k + 1},{i + 1}}}^2 - W_{{{k + 2},{i + 1}}}^2",
            )
            for k in range(depth - 1)
            for i in range(d)
        ),
    )


def hadamard(d: int, power: int) -> Model:
    """β_i = u_i^L - v_i^L. Laws: u_i v_i for L = 2, u_i + v_i for L = 1.

    For L >= 3 the one law of a coordinate, u_i^{2-L} + v_i^{2-L}, is not polynomial: the answer is an interval.

    Raises:
        LemmataError: a width below 1, or a power outside 1 to 500.
    """
    check_widths("hadamard", d=d)
    check_power("hadamard", power)
    layout = Layout()
    u, v = layout.vector("U", d), layout.vector("V", d)
    laws = []
    for i, (a, b) in enumerate(zip(u, v, strict=True), start=1):
        if power == 1:
            law: Polynomial = {(a,): 1, (b,): 1}
            laws.append(Law(law, name=f"U[{i}] + V[{i}]", latex_name=f"U_{{{i}}} + V_{{{i}}}"))
        elif power == 2:
            law = {(a, b): 1}
            laws.append(Law(law, name=f"U[{i}]·V[{i}]", latex_name=f"U_{{{i}}} V_{{{i}}}"))
    return layout.model(
        spelled("hadamard", d, power),
        phi=[{(a,) * power: 1, (b,) * power: -1} for a, b in zip(u, v, strict=True)],
        groups=output_groups(1, d, output_first=False),
        named_laws=laws,
        default_degree=min(power, 2),
    )


def linear_conv(filters: Sequence[int]) -> Model:
    """Stacked linear 1-D convolutions, one channel: φ = the coefficients of the product of the filters' polynomials.

    Filters (n_l,) for each layer. Laws: ‖w_l‖² - ‖w_{l+1}‖².

    Raises:
        LemmataError: fewer than two filters, or a length below 1.
    """
    filters = check_layers("linear-conv", filters, 2)
    layout = Layout()
    weights = [layout.vector(f"W{k + 1}", n) for k, n in enumerate(filters)]
    total: list[Polynomial] = [{(i,): 1} for i in weights[0]]
    for w in weights[1:]:
        terms: list[list[Polynomial]] = [[] for _ in range(len(total) + len(w) - 1)]
        for a, p in enumerate(total):
            for b, i in enumerate(w):
                terms[a + b].append(multiply(p, {(i,): 1}))
        total = [add(*ps) for ps in terms]
    names = [f"W{k + 1}" for k in range(len(filters))]
    return layout.model(
        spelled("linear-conv", *filters),
        phi=total,
        groups=no_logits(total),
        named_laws=(
            norm_law(
                weights[k],
                weights[k + 1],
                f"‖{a}‖² - ‖{b}‖²",
                rf"\lVert {latex_block(a)} \rVert^2 - \lVert {latex_block(b)} \rVert^2",
            )
            for k, (a, b) in enumerate(pairwise(names))
        ),
    )
