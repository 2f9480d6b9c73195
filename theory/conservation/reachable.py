"""What gradient flow can reach from a two-layer ReLU network: a product of quadrics, and its components.

Setting: f(x) = Σ_k v_k relu(⟨w_k, x⟩ + b_k), W: (h, d), hidden bias b: (h,) or none, V: (h,) or (h, m), any data,
any differentiable loss of the outputs, any fixed choice of relu'(0) in [0, 1]. Gradient flow conserves, per neuron,

    c_k = ‖w_k‖² + b_k² - ‖v_k‖²,

hence stays on H(c) = Π_k Q(c_k), Q(c) = {(w, b, v): ‖w‖² + b² - ‖v‖² = c}. With p = d (+1 with bias) and q = m:

* c > 0: Q is S^{p-1} × R^q: two components (the sign of w) if p = 1, else one; v may take any value.
* c < 0: Q is R^p × S^{q-1}: two components (the sign of v) if q = 1, else one; |v| ≥ √|c| never vanishes.
* c = 0: Q is a cone, connected through its apex (0, 0). The apex is an equilibrium of the neuron. The flow is Lipschitz
  in (w, b, v) of one neuron with a force that is bounded on bounded times (|(w, b, v)'| ≤ ‖G‖ |(w, b, v)|), so no
  trajectory enters or leaves the apex in finite time: what can be reached is the cone without apex,
  S^{p-1} × S^{q-1} × (0, ∞), with 1, 2 or 4 components, or the apex alone.

Hence two exact numbers: the components of the closed set H(c) and those of the set that training can reach. They differ
only where some c_k = 0. Both count sets; a trajectory stays in one component.

Source: Nurisso, Leroy, Vaccarino, "Topological obstruction to the training of shallow ReLU neural networks" (NeurIPS
2024): the invariant set H(c), its components, and the *effective* components, those that permutations and positive
rescalings (w, b, v) → (αw, αb, v/α) of neurons do not identify (their example: two neurons with c < 0 and scalar
output, 4 components, 3 effective ones). The treatment of c = 0 and everything about targets is proved here.

Effective components, exactly: a permutation of neurons whose c_k have the same sign, followed by the rescaling of each
neuron back to its c_k (α is unique and depends continuously on the neuron), maps the invariant set onto itself; counted
are the orbits of components under these maps, i.e. multisets of components for each of the three signs of c.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb, prod
from typing import Any

from theory.conservation.reachable_targets import Demand, Reach, demands_of, match
from theory.conservation.reachable_weights import items, read_weights
from theory.errors import LemmataError

SHOWN = 20  # neurons listed by `ReachableSet.text`


@dataclass(frozen=True)
class Neuron:
    """One factor of the invariant set, and where on it the neuron is.

    Attributes:
        invariant: c = ‖w‖² + b² - ‖v‖², exact.
        p, q: dimensions of (w, b) and of v.
        resting: the neuron is at the apex w = b = v = 0, and stays there.
        factors: the set that this neuron can reach, with its other components, up to homeomorphism.
        components: of Q(c). reachable_components: of Q(c) without apex, or of the apex.
        locked_v: sign that v keeps at all finite times (0: it stays 0); None where it is free, or q > 1.
        locked_w: the same for w where p = 1; None where it is free, or p > 1.
        silent: some point of its component contributes the function 0. Where it is False (c = 0, no bias), the neuron
            falls silent only in the limit t → ∞.
    """

    invariant: Fraction
    p: int
    q: int
    resting: bool
    factors: str
    components: int
    reachable_components: int
    locked_v: int | None
    locked_w: int | None
    silent: bool

    def serves(self, demand: Demand) -> bool:
        """Whether no lock keeps the neuron from the sign of v and the side that the target asks for."""
        return (
            not self.resting
            and (demand.sign is None or self.locked_v in (None, demand.sign))
            and (demand.side is None or self.locked_w in (None, demand.side))
        )


@dataclass(frozen=True)
class ReachableSet:
    """The invariant set of a network, decided exactly from the signs of its invariants.

    Attributes:
        neurons: (h,) one record per neuron. bias: hidden biases are trained.
    """

    neurons: tuple[Neuron, ...]
    bias: bool

    @property
    def invariants(self) -> tuple[Fraction, ...]:
        """(h,) the c_k."""
        return tuple(neuron.invariant for neuron in self.neurons)

    @property
    def components(self) -> int:
        """Number of connected components of the closed invariant set H(c)."""
        return prod(neuron.components for neuron in self.neurons)

    @property
    def reachable_components(self) -> int:
        """The same without the apexes of cones, which training neither enters nor leaves in finite time."""
        return prod(neuron.reachable_components for neuron in self.neurons)

    @property
    def effective_components(self) -> int:
        """Components of H(c) up to permutation and rescaling of neurons; see the module for the definition."""
        kinds = Counter((_sign(n.invariant), n.components) for n in self.neurons)
        return prod(comb(size + parts - 1, size) for (_, parts), size in kinds.items())

    @property
    def text(self) -> str:
        """The invariants, the locks and the counts, for a reader."""
        lines = [f"{len(self.neurons)} neurons, {'with' if self.bias else 'without'} hidden bias"]
        for k, neuron in enumerate(self.neurons[:SHOWN]):
            lines.append(f"  neuron {k}: {_number(neuron.invariant)}; {_lock(neuron)}")
        if len(self.neurons) > SHOWN:
            lines.append(f"  ... and {len(self.neurons) - SHOWN} more")
        lines.append(
            f"components: {self.components} of the invariant set, {self.reachable_components} of the set that "
            f"training can reach, {self.effective_components} up to permutation and rescaling of neurons"
        )
        if self.neurons[0].q > 1:
            lines.append(
                f"output dimension {self.neurons[0].q}: no obstruction from the signs of v"
            )
        return "\n".join(lines)

    def can_reach(self, signs: Sequence[int]) -> Reach:
        """Whether training is obstructed from every network with these signs of the outer weights.

        Args:
            signs: for every neuron that the target needs, in any order, 1 or -1; 0 for a neuron that it does not need.

        Returns:
            ``obstructed``: no point of the reachable set has so many positive and negative contributing neurons,
            up to permutation. That is a proof. "Not obstructed" is no promise that training gets there.

        Raises:
            LemmataError: a sign outside {-1, 0, 1}, or several outputs.
        """
        if self.neurons[0].q > 1:
            raise LemmataError(
                f"the outer weights have {self.neurons[0].q} entries, so they have no sign and no obstruction comes "
                "from them; use can_reach_network for a target network"
            )
        wanted = items("signs", signs)
        bad = [s for s in wanted if isinstance(s, bool) or s not in (-1, 0, 1)]
        if bad:
            raise LemmataError(f"signs has the entry {bad[0]!r}; give only -1, 0 and 1")
        return self._reach(tuple(Demand(sign=int(s)) for s in wanted if s != 0))

    def can_reach_network(self, W: Any, V: Any, b: Any = None) -> Reach:
        """Whether training is obstructed from every network that computes the function of a target network.

        The function decides what is needed, not its weights: every hyperplane at which it has a kink of positive
        (negative) total strength needs its own neuron with v > 0 (v < 0), wherever the function is positive some
        neuron has v > 0, and so on; see ``reachable_targets.demands_of``.

        Args:
            W: (h*, d), V: (h*,) or (h*, m), b: (h*,) or None: the target; h* may differ from h.

        Raises:
            LemmataError: malformed weights; other dimensions than the network's; a bias that the network lacks.
        """
        target = read_weights(W, V, b)
        first = self.neurons[0]
        d = first.p - self.bias
        if target.d != d or target.m != first.q:
            raise LemmataError(
                f"the target maps {target.d} inputs to {target.m} outputs and the network {d} to {first.q}; "
                "give a target of the same shape"
            )
        if target.b is not None and any(target.b) and not self.bias:
            raise LemmataError(
                "the target has hidden biases and the network has none; train biases, or drop them"
            )
        return self._reach(demands_of(target, bias=self.bias))

    def _reach(self, demands: tuple[Demand, ...]) -> Reach:
        # Neurons that cannot fall silent are used first, free ones last.
        order = sorted(
            range(len(self.neurons)),
            key=lambda k: (self.neurons[k].silent, self.neurons[k].locked_v is None),
        )
        assignment = match(demands, order, lambda k, demand: self.neurons[k].serves(demand))
        left = set(range(len(self.neurons))) - set(assignment or ())
        loud = tuple(k for k in sorted(left) if not self.neurons[k].silent)
        reason = f"the target needs {_count(demands)}; {self._supply()}"
        if assignment is None:
            reason += ": no assignment of neurons exists"
        elif loud:
            reason += (
                f": an assignment exists, and neurons {', '.join(map(str, loud[:SHOWN]))} that it does not use fall "
                "silent only in the limit, unless others share or cancel what they contribute"
            )
        else:
            reason += ": an assignment exists, which obstructs nothing and promises nothing"
        return Reach(assignment is None, reason, demands, assignment, loud)

    def _supply(self) -> str:
        signs = Counter(n.locked_v for n in self.neurons if not n.resting)
        resting = sum(n.resting for n in self.neurons)
        text = f"of {len(self.neurons)} neurons "
        if self.neurons[0].q > 1:
            text += f"{signs[None]} have outer weights without a sign"
        else:
            text += f"{signs[1]} are locked to v > 0, {signs[-1]} to v < 0, {signs[None]} are free"
        if self.neurons[0].p == 1:
            sides = Counter(n.locked_w for n in self.neurons if not n.resting)
            text += f" ({sides[1]} are locked to x > 0, {sides[-1]} to x < 0)"
        return text + (f", {resting} rest at 0 for ever" if resting else "")


def invariants(W: Any, V: Any, b: Any = None) -> tuple[Fraction, ...]:
    """c_k = ‖w_k‖² + b_k² - ‖v_k‖², exactly; floats are taken as the binary64 numbers that they are.

    Args:
        W: (h, d) hidden weights. V: (h,) or (h, m) outer weights. b: (h,) hidden biases, or None.
            Lists, tuples or arrays of ints, Fractions or floats.

    Raises:
        LemmataError: empty, ragged, mis-shaped, non-numeric or non-finite weights.
    """
    weights = read_weights(W, V, b)
    return tuple(
        _squares(inner) - _squares(v) for inner, v in zip(weights.inner, weights.V, strict=True)
    )


def reachable_set(W: Any, V: Any, b: Any = None, *, balanced: bool = False) -> ReachableSet:
    """The set to which gradient flow from a network is confined; see the module.

    Args:
        W, V, b: as for `invariants`. A bias vector of zeros is a bias that is trained from 0; None is no bias.
        balanced: every ‖v_k‖ stands for √(‖w_k‖² + b_k²), which rounded numbers need not hit: c_k = 0 exactly.

    Raises:
        LemmataError: malformed weights; ``balanced`` with a neuron of which only one side is zero.
    """
    weights = read_weights(W, V, b)
    p, q = weights.d + (weights.b is not None), weights.m
    neurons = []
    for k, (inner, v) in enumerate(zip(weights.inner, weights.V, strict=True)):
        c = _squares(inner) - _squares(v)
        if balanced:
            if any(inner) != any(v):
                raise LemmataError(
                    f"neuron {k} is zero in one layer only, which is not balanced; drop balanced=True"
                )
            c = Fraction(0)
        neurons.append(_neuron(c, inner, v, p, q, bias=weights.b is not None))
    return ReachableSet(tuple(neurons), weights.b is not None)


def _neuron(
    c: Fraction, inner: Sequence[Fraction], v: Sequence[Fraction], p: int, q: int, *, bias: bool
) -> Neuron:
    resting = not any(inner) and not any(v)
    in_w = 2 if p == 1 and c >= 0 else 1
    in_v = 2 if q == 1 and c <= 0 else 1
    if c > 0:
        factors = f"S^{p - 1} x R^{q}"
    elif c < 0:
        factors = f"R^{p} x S^{q - 1}"
    else:
        factors = "point" if resting else f"S^{p - 1} x S^{q - 1} x (0, oo)"
    return Neuron(
        invariant=c,
        p=p,
        q=q,
        resting=resting,
        factors=factors,
        components=in_w * in_v if c != 0 else 1,
        reachable_components=1 if resting else in_w * in_v,
        locked_v=_sign(v[0]) if q == 1 and c <= 0 else None,
        locked_w=_sign(inner[0]) if p == 1 and c >= 0 else None,
        # c > 0: v = 0. c < 0: w = 0, b = 0. c = 0: w = 0, b < 0 needs a bias.
        silent=resting or c != 0 or bias,
    )


def _squares(row: Sequence[Fraction]) -> Fraction:
    return sum((x * x for x in row), Fraction(0))


def _sign(x: Fraction) -> int:
    return (x > 0) - (x < 0)


def _number(c: Fraction) -> str:
    short = len(str(c)) <= 16
    return f"c = {c}" if short else f"c ≈ {_scientific(c)} ({'>' if c > 0 else '<'} 0)"


def _scientific(c: Fraction) -> str:
    """Three digits, also where a float would underflow or overflow."""
    exponent = len(str(abs(c.numerator))) - len(str(c.denominator))
    mantissa = float(c / Fraction(10) ** exponent)
    return f"{mantissa:.3g}e{exponent}" if abs(exponent) > 3 else f"{float(c):.3g}"


def _lock(neuron: Neuron) -> str:
    if neuron.resting:
        return "rests at 0 for ever"
    names = {1: "> 0", -1: "< 0"}
    locks = [
        f"{letter} {names[sign]} for ever"
        for letter, sign in (("v", neuron.locked_v), ("w", neuron.locked_w))
        if sign is not None
    ]
    return f"{neuron.factors}, " + (" and ".join(locks) if locks else "no sign is locked")


def _count(demands: Sequence[Demand]) -> str:
    kinds = Counter(demand.text for demand in demands)
    return ", ".join(f"{n} with {kind}" for kind, n in sorted(kinds.items())) or "no neuron"
