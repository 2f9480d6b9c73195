"""Kind "margin": how well networks can separate labelled points, from below and from above.

    claim    {"space": "f1" or "f2", "points": n rows of d numbers, "labels": n of 1 and -1,
              "lower": number, "upper": number}: lower <= gamma <= upper
    inputs   {}
    witness  {"network": NETWORK, "q": n numbers, "bound": BOUND}

In space "f1" gamma is the largest min_i y_i Σ_j c_j relu(<u_j, x_i>) over networks with
Σ_j |c_j| ‖u_j‖ <= 1.  NETWORK is a list of neurons [c, u].  With q >= 0 and Σ q_i = 1,
min_i <= Σ_i q_i, so gamma <= max over unit u of |Σ_i q_i y_i relu(<u, x_i>)|; BOUND is a witness of
`sign_tree` that this is at most upper, for the points with q_i > 0 in their order.

In space "f2" gamma is the largest min_i y_i f(x_i) over f in the unit ball of the space with kernel
K(x, z) = <x, z> (π - angle(x, z)) / 2π.  NETWORK is a list of n numbers α, f = Σ_i α_i y_i K(x_i, ·);
and gamma² <= Σ_ij q_i y_i K(x_i, x_j) y_j q_j, which is the square of ‖Σ_i q_i y_i K(x_i, ·)‖.  BOUND
is {}: the sum is enclosed with PRECISION bits.

NETWORK is [] where lower is 0 (f = 0 is allowed).  BOUND is "zero" where upper is 0: then
Σ_i q_i y_i relu(<u, x_i>) = 0 for every u.  With the points on the line through e written as a e, that
is: Σ q y |a| = 0 on every line (no kink), and Σ q y relu(a) e = 0 over all lines (nor a linear part).
Then the mean of y f(x) under q vanishes for all networks, and in both spaces: the gradient in u is the
feature of "f2".
"""

from __future__ import annotations

from typing import Any

from flint import arb, ctx, fmpq

from proofs_checks.audit import sign_tree
from proofs_checks.audit.core import Clock, Rejected, exact, fields
from proofs_checks.audit.rationals import dot, short

PRECISION = 256
MAX_POINTS, MAX_COORDINATES, MAX_NEURONS = 4096, 1024, 20_000
Row = list[Any]


def check(claim: Any, inputs: Any, witness: Any, clock: Clock) -> str:
    """The claim in words; raises Rejected if a bound does not follow."""
    names = ("space", "points", "labels", "lower", "upper")
    space, points_data, labels_data, lower_text, upper_text = fields(claim, names, "claim")
    fields(inputs, (), "inputs")
    network, q_data, bound = fields(witness, ("network", "q", "bound"), "witness")
    if space not in ("f1", "f2"):
        raise Rejected("space: neither 'f1' nor 'f2'")
    points = _points(points_data, clock)
    n, d = len(points), len(points[0])
    labels = _listed(labels_data, n, "labels")
    if any(type(y) is not int or y not in (1, -1) for y in labels):
        raise Rejected("labels: other than 1 and -1")
    lower, upper = exact(lower_text, "lower"), exact(upper_text, "upper")
    if not 0 <= lower <= upper:
        raise Rejected("a bound is negative, or the lower one above the upper one")
    q = _numbers(q_data, n, "q", clock)
    if min(q) < 0 or dot(q, [fmpq(1)] * n, clock) != 1:
        raise Rejected("q: not a probability vector")
    nu = [a * y for a, y in zip(q, labels, strict=True)]
    if not isinstance(network, list) or (lower == 0) != (network == []):
        raise Rejected("network: a list, empty exactly if the lower bound is 0")
    with ctx.workprec(PRECISION):
        if lower > 0:
            separates = _network if space == "f1" else _kernel_function
            separates(points, labels, network, lower, clock)
        if bound == "zero":
            _vanishes(points, nu, clock)
        elif space == "f1":
            used = [i for i, a in enumerate(nu) if a]
            rows, weights = [points[i] for i in used], [nu[i] for i in used]
            sign_tree.check_bound(rows, weights, upper * upper, bound, clock)
        else:
            fields(bound, (), "bound")
            if not _form(points, nu, clock) <= arb(upper * upper):
                raise Rejected("upper: less than the norm that q gives")
    what = "networks of total variation 1" if space == "f1" else "initial features of norm 1"
    return (
        f"proved: the margin of {what} on {n} points in {d} dimensions lies in [{_short(lower_text)}, "
        f"{_short(upper_text)}]"
    )


def _points(data: Any, clock: Clock) -> list[Row]:
    if not isinstance(data, list) or not 0 < len(data) <= MAX_POINTS:
        raise Rejected(f"points: not a list of 1 to {MAX_POINTS} rows")
    if not isinstance(data[0], list) or not 0 < len(data[0]) <= MAX_COORDINATES:
        raise Rejected(f"points: a row is not a list of 1 to {MAX_COORDINATES} numbers")
    return [_numbers(row, len(data[0]), "points", clock) for row in data]


def _listed(data: Any, count: int, what: str) -> Row:
    if not isinstance(data, list) or len(data) != count:
        raise Rejected(f"{what}: not a list of length {count}")
    return data


def _numbers(data: Any, count: int, what: str, clock: Clock) -> Row:
    clock.tick()
    return [exact(text, what) for text in _listed(data, count, what)]


def _network(points: list[Row], labels: Row, data: Row, lower: fmpq, clock: Clock) -> None:
    """min_i y_i f(x_i) >= lower Σ_j |c_j| ‖u_j‖ > 0 for the explicit network."""
    if len(data) > MAX_NEURONS:
        raise Rejected(f"network: more than {MAX_NEURONS} neurons")
    outputs, variation = [fmpq(0)] * len(points), arb(0)
    for pair in data:
        outer, inner = _listed(pair, 2, "neuron")
        (c,), u = _numbers([outer], 1, "c", clock), _numbers(inner, len(points[0]), "u", clock)
        variation += arb(abs(c)) * arb(dot(u, u, clock)).sqrt()
        for i, x in enumerate(points):
            z = dot(x, u, clock)
            if z > 0:
                outputs[i] = short(outputs[i] + c * z, clock)
    worst = min(f * y for f, y in zip(outputs, labels, strict=True))
    # a network that is 0 satisfies the inequality for every bound
    if not (worst > 0 and arb(lower) * variation <= arb(worst)):
        raise Rejected("lower: more than the margin of the network")


def _kernel(x: Row, z: Row, squares: fmpq, clock: Clock) -> Any:
    """K(x, z), given ‖x‖² ‖z‖²; equality in Cauchy-Schwarz tells the angles 0 and π."""
    product = dot(x, z, clock)
    if product * product == squares:
        return arb(max(product, fmpq(0))) / 2
    angle = (arb(product) / arb(squares).sqrt()).acos()
    return arb(product) * (1 - angle / arb.pi()) / 2


def _form(points: list[Row], nu: Row, clock: Clock) -> arb:
    """Σ_ij nu_i K(x_i, x_j) nu_j."""
    used = [i for i, a in enumerate(nu) if a]
    squares = {i: dot(points[i], points[i], clock) for i in used}
    total = arb(0)
    for i in used:
        for j in used:
            if j <= i:
                entry = _kernel(points[i], points[j], squares[i] * squares[j], clock)
                total += arb(nu[i] * nu[j] * (1 if i == j else 2)) * entry
    return total


def _kernel_function(points: list[Row], labels: Row, data: Row, lower: fmpq, clock: Clock) -> None:
    """min_i y_i f(x_i) >= lower ‖f‖ > 0 for f = Σ_j α_j y_j K(x_j, ·)."""
    alpha = _numbers(_listed(data, len(points), "alpha"), len(points), "alpha", clock)
    weights = [a * y for a, y in zip(alpha, labels, strict=True)]
    squares = [dot(x, x, clock) for x in points]
    outputs = []
    for i, x in enumerate(points):
        terms = (
            arb(w) * _kernel(x, points[j], squares[i] * squares[j], clock)
            for j, w in enumerate(weights)
            if w
        )
        outputs.append(sum(terms, arb(0)))
    # ‖f‖² = Σ_i α_i y_i f(x_i)
    norm = sum((arb(w) * f for w, f in zip(weights, outputs, strict=True) if w), arb(0)).sqrt()
    bound = arb(lower) * norm
    # a function that is 0 satisfies the inequality for every bound
    if not norm > 0 or not all(bound <= f * y for f, y in zip(outputs, labels, strict=True)):
        raise Rejected("lower: more than the margin of the function")


def _vanishes(points: list[Row], nu: Row, clock: Clock) -> None:
    """Σ_i nu_i relu(<u, x_i>) = 0 for every u."""
    kinks: dict[tuple[str, ...], Any] = {}
    linear = [fmpq(0)] * len(points[0])
    for x, weight in zip(points, nu, strict=True):
        clock.tick()
        size = next((a for a in x if a), None)  # x = size * e with the first entry of e equal to 1
        if size is None or not weight:
            continue
        line = tuple(str(a / size) for a in x)
        kinks[line] = short(kinks.get(line, fmpq(0)) + weight * abs(size), clock)
        if size > 0:
            linear = [short(s + weight * a, clock) for s, a in zip(linear, x, strict=True)]
    if any(kinks.values()) or any(linear):
        raise Rejected("bound: the weighted sum of the features does not vanish")


def _short(text: str) -> str:
    return text if len(text) <= 60 else str(arb(exact(text, "bound")).str(12, radius=False))
