"""Networks of homogeneous units: ReLU, pReLU, powers of ReLU, convolutional, input-convex.

Where no pre-activation changes sign, the network is linear in its *path products*, of which the data's activation
patterns switch some on (Marcotte, Gribonval & Peyré, NeurIPS 2023, Section 3.2). Where data switch every hidden unit on
and off independently, the gradients of all path products act; a unit that is always on or dead (one input without
bias; deep layers without bias) leaves the network fewer fields, and perhaps more laws. Every model says so (`scope`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement, pairwise

from theory.conservation.builders_layout import (
    Block,
    Layout,
    check_layers,
    check_power,
    check_widths,
    columns_of,
    difference,
    latex_block,
    norm_law,
    output_groups,
    spelled,
    squares,
)
from theory.conservation.model import Law, Model, entropy_metric
from theory.conservation.polynomials import Monomial, Polynomial
from theory.errors import LemmataError

SCOPE = (
    "the count is that of the path products φ, for data that switch every hidden unit on and off independently; "
    "units that are always on or dead leave a network fewer fields, and perhaps more laws"
)
ONE_INPUT = "; with one input and no bias there are two patterns only, so that fails for three hidden units or more"


def _scope(inputs: int, bias: bool) -> str:
    return SCOPE + (ONE_INPUT if inputs == 1 and not bias else "")


def relu(widths: Sequence[int], *, bias: bool = False) -> Model:
    """ReLU network, widths from input to output, W_l of shape (w_l, w_{l-1}); hidden biases if asked, no output bias.

    φ: all path products Π_l W_l[k_l, k_{l-1}], and b_l[k_l] times the paths from there on.
    Laws: ‖W_l[k,:]‖² + b_l[k]² - ‖W_{l+1}[:,k]‖², one for each hidden neuron.

    Raises:
        LemmataError: fewer than three widths, or one below 1.
    """
    return _network("relu", widths, bias=bias, learned_slopes=False)


def prelu(widths: Sequence[int], *, bias: bool = False, learned_slopes: bool = False) -> Model:
    """Leaky or parametric ReLU z ↦ max(z, 0) + a min(z, 0), otherwise like `relu`.

    Fixed slopes give the same path products. A learned slope a_l[k] is a parameter of its hidden neuron; then each
    path product comes with every subset of the slopes along it. The laws are those of `relu`.

    Raises:
        LemmataError: fewer than three widths, or one below 1.
    """
    family = "prelu-learned" if learned_slopes else "prelu"
    return _network(family, widths, bias=bias, learned_slopes=learned_slopes)


def _network(family: str, widths: Sequence[int], *, bias: bool, learned_slopes: bool) -> Model:
    widths = check_layers(family, widths, 3)
    layout = Layout()
    weights: list[Block] = []
    biases: list[tuple[int, ...]] = []
    # paths[k]: products that end at unit k of the current layer. Indices grow along a path, so they stay sorted.
    paths: list[list[Monomial]] = []
    for layer, (before, after) in enumerate(pairwise(widths), start=1):
        hidden = layer < len(widths) - 1
        w = layout.matrix(f"W{layer}", after, before)
        b = layout.vector(f"B{layer}", after) if bias and hidden else ()
        a = layout.vector(f"A{layer}", after) if learned_slopes and hidden else ()
        if hidden:
            weights.append(w)
            biases.append(b)
            arriving = [
                [(*p, w[k][j]) for j in range(before) for p in (paths[j] if paths else [()])]
                + [(i,) for i in b[k : k + 1]]
                for k in range(after)
            ]
            paths = [
                [*ps, *((*p, i) for p in ps for i in a[k : k + 1])] for k, ps in enumerate(arriving)
            ]
        else:
            weights.append(w)
    last, outputs = weights[-1], widths[-1]
    phi = [{(*p, last[o][k]): 1} for k, ps in enumerate(paths) for p in ps for o in range(outputs)]
    return layout.model(
        spelled(family, *widths),
        phi,
        groups=output_groups(outputs, len(phi) // outputs, output_first=False),
        named_laws=(
            _neuron_law(layer, k, incoming, b, columns_of(after)[k])
            for layer, (w, b, after) in enumerate(
                zip(weights, biases, weights[1:], strict=False), start=1
            )
            for k, incoming in enumerate(w)
        ),
        scope=_scope(widths[0], bias),
    )


def _neuron_law(
    layer: int, k: int, incoming: Sequence[int], biases: Sequence[int], outgoing: Sequence[int]
) -> Law:
    """‖incoming‖² + bias² - ‖outgoing‖²."""
    a, b, c, at = f"W{layer}", f"B{layer}", f"W{layer + 1}", k + 1
    la, lb, lc = map(latex_block, (a, b, c))
    return norm_law(
        (*incoming, *biases[k : k + 1]),
        outgoing,
        f"‖{a}[{at},:]‖²{f' + {b}[{at}]²' if biases else ''} - ‖{c}[:,{at}]‖²",
        rf"\lVert {la}_{{{at},:}} \rVert^2"
        + (f" + ({lb}_{{{at}}})^2" if biases else "")
        + rf" - \lVert {lc}_{{:,{at}}} \rVert^2",
    )


def homogeneous(d: int, h: int, m: int, power: int, *, bias: bool = False) -> Model:
    """Two-layer network of units relu(z)^q: f_o(x) = Σ_k v_{ok} relu(⟨w_k, x⟩ + b_k)^q, U (h, d) and V (m, h).

    φ: v_{ok} times the monomials of degree q in (w_k, b_k). Laws: ‖w_k‖² + b_k² - q ‖v_k‖².

    Raises:
        LemmataError: a width below 1, or a power outside 1 to 500.
    """
    check_widths("power", d=d, h=h, m=m)
    check_power("power", power)
    layout = Layout()
    u = layout.matrix("U", h, d)
    b = layout.vector("B", h) if bias else ()
    v = columns_of(layout.matrix("V", m, h))
    incoming = [(*u[k], *b[k : k + 1]) for k in range(h)]
    phi = [
        {(*w, v[k][o]): 1}
        for k in range(h)
        for w in combinations_with_replacement(incoming[k], power)
        for o in range(m)
    ]
    times = "" if power == 1 else f"{power}"
    return layout.model(
        spelled("power", d, h, m, power),
        phi,
        groups=output_groups(m, len(phi) // m, output_first=False),
        named_laws=(
            norm_law(
                incoming[k],
                v[k],
                f"‖U[{k + 1},:]‖²{f' + B[{k + 1}]²' if bias else ''} - {times}‖V[:,{k + 1}]‖²",
                rf"\lVert U_{{{k + 1},:}} \rVert^2{f' + B_{{{k + 1}}}^2' if bias else ''}"
                rf" - {times}\lVert V_{{:,{k + 1}}} \rVert^2",
                factor=power,
            )
            for k in range(h)
        ),
        scope=_scope(d, bias),
    )


def conv(
    filter_length: int, input_length: int, channels: int, outputs: int = 1, *, bias: bool = False
) -> Model:
    """1-D convolution (one input channel, valid, stride 1), ReLU, then a dense layer.

    Filters F (channels, filter_length), one bias for each channel if asked, V (outputs, channels · positions) with
    input_length - filter_length + 1 positions; column c · positions + p of V belongs to channel c.
    φ: V[o,(c,p)] F[c,j] and V[o,(c,p)] b[c]. Laws: ‖F[c,:]‖² + b_c² - ‖V[:,(c,·)]‖², one for each channel.

    Raises:
        LemmataError: a width below 1, or a filter longer than the input.
    """
    check_widths(
        "conv",
        filter_length=filter_length,
        input_length=input_length,
        channels=channels,
        outputs=outputs,
    )
    if filter_length > input_length:
        raise LemmataError(
            f"conv: filter_length {filter_length} > input_length {input_length}; give a shorter filter"
        )
    positions = input_length - filter_length + 1
    layout = Layout()
    f = layout.matrix("F", channels, filter_length)
    b = layout.vector("B", channels) if bias else ()
    v = columns_of(layout.matrix("V", outputs, channels * positions))
    fans = [
        ((*f[c], *b[c : c + 1]), v[c * positions : (c + 1) * positions]) for c in range(channels)
    ]
    phi: list[Polynomial] = [
        {(w, x): 1} for incoming, fan in fans for at in fan for w in incoming for x in at
    ]
    return layout.model(
        spelled("conv", filter_length, input_length, channels, outputs),
        phi,
        groups=output_groups(outputs, len(phi) // outputs, output_first=False),
        named_laws=(
            norm_law(
                incoming,
                [x for at in fan for x in at],
                f"‖F[{c},:]‖²{f' + B[{c}]²' if bias else ''} - ‖V[:,({c},·)]‖²",
                rf"\lVert F_{{{c},:}} \rVert^2{f' + B_{{{c}}}^2' if bias else ''}"
                rf" - \lVert V_{{:,({c},\cdot)}} \rVert^2",
            )
            for c, (incoming, fan) in enumerate(fans, start=1)
        ),
        scope=_scope(filter_length, bias),
    )


def icnn(d: int, h: int, m: int) -> Model:
    """Two-layer input-convex network: U (h, d) in the Euclidean metric, V (m, h) >= 0 in that of the entropy.

    φ: V[o,k] U[k,i]. Laws: ‖U[k,:]‖² - 2 Σ_o V[o,k], of mixed degree (ICML 2024, Section 4).

    Raises:
        LemmataError: a width below 1.
    """
    check_widths("icnn", d=d, h=h, m=m)
    layout = Layout()
    u, v = layout.matrix("U", h, d), columns_of(layout.matrix("V", m, h))
    phi: list[Polynomial] = [{(w, x): 1} for k in range(h) for w in u[k] for x in v[k]]
    return layout.model(
        spelled("icnn", d, h, m),
        phi,
        metric=entropy_metric([x for column in v for x in column], len(layout.names)),
        groups=output_groups(m, len(phi) // m, output_first=False),
        named_laws=(
            Law(
                difference(squares(u[k]), {(x,): 2 for x in v[k]}),
                name=f"‖U[{k + 1},:]‖² - 2 Σ_o V[o,{k + 1}]",
                latex_name=rf"\lVert U_{{{k + 1},:}} \rVert^2 - 2 \sum_o V_{{o,{k + 1}}}",
            )
            for k in range(h)
        ),
        default_mixed=True,
        scope=_scope(d, False),
    )
