"""Models by text: ``linear:5,4,5``, ``relu:3,3,3``, ``model.py:phi``; sizes are estimated before anything is built."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from math import comb, prod

from theory.conservation import builders
from theory.conservation.builders_layout import MAX_PARAMETERS, MAX_TERMS
from theory.conservation.model import Model
from theory.errors import LemmataError

Widths = tuple[int, ...]
WIDTH = re.compile("[0-9]{1,9}")
INPUTS = 256  # of a residual network


@dataclass(frozen=True)
class Family:
    """How a family of models is written and built.

    Attributes:
        form: "linear:w0,w1,..."; text: one line of help. least, most: number of widths (most 0: any).
        build: from widths, and whether there are hidden biases. size: (parameters, terms of φ) from the same.
        bias: whether --bias applies.
    """

    form: str
    text: str
    least: int
    most: int
    build: Callable[[Widths, bool], Model]
    size: Callable[[Widths, bool], tuple[int, int]]
    bias: bool = False


def _layers(w: Widths, bias: bool, learned: bool = False) -> tuple[int, int]:
    """Path products; with learned slopes, each with every subset of the slopes along it."""
    hidden = w[1:-1]
    parameters = sum(a * b for a, b in pairwise(w)) + (bias + learned) * sum(hidden)
    starts = [w, *(w[k:] for k in range(1, len(w) - 1) if bias)]
    layers = [len(w) - 2, *(len(w) - 1 - k for k in range(1, len(w) - 1) if bias)]
    return parameters, sum(
        prod(s) << (n if learned else 0) for s, n in zip(starts, layers, strict=True)
    )


def _power(w: Widths, bias: bool) -> tuple[int, int]:
    d, h, m, q = w
    into = d + bias
    parameters = h * (into + m)
    if parameters > MAX_PARAMETERS:  # the binomial would take long
        return parameters, parameters
    return parameters, h * m * comb(into + q - 1, into - 1)


def _conv(w: Widths, bias: bool) -> tuple[int, int]:
    length, size, channels, outputs = (*w, 1)[:4]
    dense = outputs * channels * max(size - length + 1, 1)
    return channels * (length + bias) + dense, dense * (length + bias)


def _residual(w: Widths, _: bool) -> tuple[int, int]:
    d, *hidden = w
    patterns = min(INPUTS + 2 * d, 1 << min(sum(hidden), 20)) if d > 1 else 2
    return 2 * d * sum(hidden), patterns * d * prod(1 + d * h for h in hidden)


def _cp(w: Widths, _: bool) -> tuple[int, int]:
    return sum(w[:-1]) * w[-1], prod(w)


FAMILIES: Mapping[str, Family] = {
    "linear": Family(
        "linear:w0,w1,...",
        "linear network, widths from input to output",
        2,
        0,
        lambda w, _: builders.linear(w),
        lambda w, _: _layers(w, False),
    ),
    "relu": Family(
        "relu:w0,w1,...",
        "ReLU network: all path products",
        3,
        0,
        lambda w, bias: builders.relu(w, bias=bias),
        _layers,
        bias=True,
    ),
    "prelu": Family(
        "prelu:w0,w1,...",
        "leaky ReLU network, fixed slopes",
        3,
        0,
        lambda w, bias: builders.prelu(w, bias=bias),
        _layers,
        bias=True,
    ),
    "prelu-learned": Family(
        "prelu-learned:w0,w1,...",
        "parametric ReLU network, one learned slope for each hidden neuron",
        3,
        0,
        lambda w, bias: builders.prelu(w, bias=bias, learned_slopes=True),
        lambda w, bias: _layers(w, bias, True),
        bias=True,
    ),
    "power": Family(
        "power:d,h,m,q",
        "two-layer network of units relu(z)^q",
        4,
        4,
        lambda w, bias: builders.homogeneous(*w, bias=bias),
        _power,
        bias=True,
    ),
    "factorisation": Family(
        "factorisation:n,m,r",
        "U Vᵀ with U (n, r), V (m, r)",
        3,
        3,
        lambda w, _: builders.matrix_factorisation(*w),
        lambda w, _: ((w[0] + w[1]) * w[2], prod(w)),
    ),
    "cp": Family(
        "cp:n1,n2,...,r",
        "tensor factorisation of rank r",
        3,
        27,
        lambda w, _: builders.cp(w[:-1], w[-1]),
        _cp,
    ),
    "diagonal": Family(
        "diagonal:d,L",
        "diagonal linear network of depth L",
        2,
        2,
        lambda w, _: builders.diagonal(*w),
        lambda w, _: (prod(w), w[0]),
    ),
    "hadamard": Family(
        "hadamard:d,L",
        "u_i^L - v_i^L",
        2,
        2,
        lambda w, _: builders.hadamard(*w),
        lambda w, _: (2 * w[0], 2 * w[0]),
    ),
    "conv": Family(
        "conv:FILTER,LENGTH,CHANNELS[,OUTPUTS]",
        "1-D convolution, ReLU, dense layer",
        3,
        4,
        lambda w, bias: builders.conv(*w, bias=bias),
        _conv,
        bias=True,
    ),
    "linear-conv": Family(
        "linear-conv:n1,n2,...",
        "stacked linear 1-D convolutions with filters of these lengths",
        2,
        0,
        lambda w, _: builders.linear_conv(w),
        lambda w, _: (sum(w), prod(w)),
    ),
    "attention": Family(
        "attention:D_MODEL,D_HEAD",
        "one attention head",
        2,
        2,
        lambda w, _: builders.attention(*w),
        lambda w, _: (4 * prod(w), 2 * w[0] * prod(w)),
    ),
    "nmf": Family(
        "nmf:n,r,m",
        "nonnegative U V, (n, r) and (r, m), under the mirror flow of the entropy",
        3,
        3,
        lambda w, _: builders.nmf(*w),
        lambda w, _: ((w[0] + w[2]) * w[1], prod(w)),
    ),
    "icnn": Family(
        "icnn:d,h,m",
        "two-layer input-convex network, entropy on the output layer",
        3,
        3,
        lambda w, _: builders.icnn(*w),
        lambda w, _: (w[1] * (w[0] + w[2]), prod(w)),
    ),
    "residual": Family(
        "residual:d,h1,h2,...",
        "residual ReLU blocks near a positive point",
        2,
        0,
        lambda w, _: builders.residual(w[0], w[1:], inputs=INPUTS),
        _residual,
    ),
}


def parse_spec(text: str, *, bias: bool = False) -> Model:
    """The model that ``FAMILY:WIDTHS`` (see `FAMILIES`) or ``PATH.py:NAME`` stands for.

    Args:
        bias: hidden biases, where the family has them.

    Raises:
        LemmataError: unknown family, bad widths, biases where there are none, or more than 2,000 parameters or
            2,000,000 terms of φ; also whatever is wrong with the file.
    """
    text = text.strip()
    name, colon, rest = text.partition(":")
    if ".py:" in text or text.endswith(".py"):
        if bias:
            raise LemmataError(f"{text}: --bias does not apply to a file; write the biases into φ")
        # sympy loads only for models that need it
        from theory.conservation.symbolic import load_phi

        return load_phi(text)
    family = FAMILIES.get(name)
    if family is None:
        close = difflib.get_close_matches(name, FAMILIES, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}? " if close else ""
        raise LemmataError(
            f"unknown model {text[:80]!r}: {hint}use one of {', '.join(FAMILIES)}, or PATH.py:NAME"
        )
    if not colon:
        raise LemmataError(f"{text[:80]}: no widths; write {family.form}")
    widths = _widths(text, rest, family)
    if bias and not family.bias:
        have = ", ".join(key for key, f in FAMILIES.items() if f.bias)
        raise LemmataError(f"{text}: {name} has no biases; drop --bias (it applies to {have})")
    _check_size(text, *family.size(widths, bias))
    return replace(family.build(widths, bias), spec=text)


def _widths(text: str, rest: str, family: Family) -> Widths:
    parts = [part.strip() for part in rest.split(",")]
    for part in parts:
        if not WIDTH.fullmatch(part) or not int(part):
            raise LemmataError(
                f"{text[:80]}: {part[:20]!r} is no integer from 1 to 999999999; write {family.form}"
            )
    few, many = len(parts) < family.least, family.most and len(parts) > family.most
    if few or many:
        most = f" to {family.most}" if family.most > family.least else ""
        number = f"at least {family.least}" if not family.most else f"{family.least}{most}"
        raise LemmataError(
            f"{text[:80]}: {len(parts)} number{'s' * (len(parts) > 1)} given, {number} wanted; write {family.form}"
        )
    if len(parts) > MAX_PARAMETERS:
        raise LemmataError(f"{text[:80]}: {len(parts):,} widths; at most {MAX_PARAMETERS:,}")
    return tuple(map(int, parts))


def _check_size(text: str, parameters: int, terms: int) -> None:
    if parameters > MAX_PARAMETERS or terms > MAX_TERMS:
        raise LemmataError(
            f"{text[:80]}: {_about(parameters)} parameters and {_about(terms)} terms of φ; "
            f"at most {MAX_PARAMETERS:,} and {MAX_TERMS:,}: give smaller widths"
        )


def _about(n: int) -> str:
    return f"{n:,}" if n < 10**12 else f"about 2^{n.bit_length() - 1}"
