"""Iterations as graphs: a torch function of one trajectory is traced, and what makes it switch is found in the trace.

Tracing (``make_fx``) turns a function with gradients inside into a list of elementary ``aten`` operations. That serves
three purposes: running it costs no transformation per call; ``numerics.descent_wide`` can evaluate the same list in a
wider float; and every point where the function is not smooth stands in it as an operation (a comparison, a ReLU, an
absolute value, a root or a quotient at zero: x/sqrt(x·x) is a sign), whose argument is returned beside the value. As
long as no such *switch* can change sign within the error, the linearisation is that of the true trajectory too.

This module imports torch at its top; nothing imports it before an iteration is run.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import functionalize, jvp, vmap
from torch.fx import Graph, GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx

ATEN = torch.ops.aten
# A view of one lane need not be a view of the batch, where the lane is one axis among others.
RESHAPED = {ATEN.view.default, ATEN._unsafe_view.default}
COMPARED = {"gt", "ge", "lt", "le", "eq", "ne", "maximum", "minimum"}
SIGNED = {"relu", "abs", "sgn", "sign", "leaky_relu", "leaky_relu_backward"}
STOPPED = {ATEN.detach.default, ATEN.alias.default}
# Singular where their first argument is this.
SINGULAR = {"sqrt": 0.0, "rsqrt": 0.0, "reciprocal": 0.0, "log": 0.0, "log1p": -1.0}
SHAPED = {"zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"}


def operation(node: Node) -> str:
    """The name of an operation without namespace and overload: "add" for aten.add.Tensor."""
    return str(node.target).removeprefix("aten.").split(".")[0].rstrip("_")


def trace(function: Callable[..., Any], *example: Tensor) -> GraphModule:
    """The graph of ``function`` without operations that write in place.

    A gradient inside has been taken by then, so what was held constant in it (``detach``) is a number like any other:
    the iteration depends on it, and so must its derivative.
    """
    # The tracer tells arguments apart by their identity.
    apart = [argument.clone() for argument in example]
    graph: GraphModule = make_fx(functionalize(function, remove="mutations"))(*apart)
    for node in graph.graph.nodes:
        if node.target in RESHAPED:
            node.target = ATEN.reshape.default
        if node.target in STOPPED:
            node.replace_all_uses_with(node.args[0])
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


def _pairs(node: Node) -> list[tuple[Any, Any]]:
    """Pairs (a, b) such that the operation switches where a = b."""
    name, args = operation(node), node.args
    if name in SIGNED:
        # leaky_relu_backward(gradient, self, ...): the others have self in front
        return [(args[1] if name == "leaky_relu_backward" else args[0], 0.0)]
    if name in SINGULAR:
        return [(args[0], SINGULAR[name])]
    if name == "div":
        return [(args[1], 0.0)]
    if name == "linalg_vector_norm":
        return [(node, 0.0)]
    if name == "pow":
        power = args[1]
        # From 2 on it has two derivatives.
        smooth = isinstance(power, (int, float)) and (power >= 2 or power in (0, 1))
        return [] if smooth else [(args[0], 0.0)]
    if name in COMPARED:
        return [(args[0], args[1])]
    if name == "threshold_backward":
        source, level = args[1], args[2]
        # The backward of a ReLU looks at its result, which is zero with all its derivatives.
        while isinstance(source, Node) and operation(source) == "relu":
            source = source.args[0]
        return [(source, level)]
    if name in {"clamp", "clamp_min", "clamp_max"}:
        limits = [*args[1:], *node.kwargs.values()]
        return [(args[0], limit) for limit in limits if limit is not None]
    if name in {"softplus", "softplus_backward"}:
        source, beta, level = ([*args, 1, 20][k] for k in range(3))
        if name == "softplus_backward":
            source, beta, level = args[1:4]
        return [(source, float(level) / float(beta))]  # type: ignore[arg-type]
    return []


def switches(graph: Graph, variable: Node) -> list[tuple[Node, Any, Any]]:
    """All (operation, a, b) of the graph that switch at a = b and depend on ``variable``, each pair once."""
    moving = {variable}
    found: dict[tuple[Any, Any], Node] = {}
    for node in graph.nodes:
        if not moving.intersection(node.all_input_nodes) or operation(node) in SHAPED:
            continue
        moving.add(node)
        for a, b in _pairs(node):
            # Truth values move where the comparison that made them does.
            if {a, b} & moving and not (_is_truth(a) or _is_truth(b)):
                found.setdefault((a, b), node)
    return [(node, a, b) for (a, b), node in found.items()]


def _is_truth(x: Any) -> bool:
    meta = x.meta.get("tensor_meta") if isinstance(x, Node) else None
    return meta is not None and meta.dtype is torch.bool


def _with_switches(graph: GraphModule) -> GraphModule:
    """The same function, returning (value, differences a - b of its switches (m,))."""
    inner = graph.graph
    variable = next(iter(inner.nodes))
    rows = []
    for node, a, b in switches(inner, variable):
        with inner.inserting_after(node) if a is node else inner.inserting_before(node):
            kind = ATEN.sub.Tensor if isinstance(b, Node) else ATEN.sub.Scalar
            difference = inner.call_function(kind, (a, b))
        with inner.inserting_after(difference):
            rows.append(inner.call_function(ATEN.reshape.default, (difference, [-1])))
    (output,) = (node for node in inner.nodes if node.op == "output")
    with inner.inserting_before(output):
        if rows:
            joined = inner.call_function(ATEN.cat.default, (rows,))
        else:
            joined = inner.call_function(ATEN.slice.Tensor, (variable, 0, 0, 0))
        output.args = ((output.args[0], joined),)
    graph.recompile()
    return graph


def _first_output(graph: GraphModule) -> GraphModule:
    """The first of the outputs alone, without what only the others need."""
    alone = GraphModule(graph, deepcopy(graph.graph))
    (output,) = (node for node in alone.graph.nodes if node.op == "output")
    output.args = (output.args[0][0],)
    alone.graph.eliminate_dead_code()
    alone.recompile()
    return alone


@dataclass(frozen=True, eq=False)
class Traced:
    """A function of one trajectory, (N,) and further arguments to (M,), as graphs over a batch.

    Attributes:
        value: (B, N), ... -> (B, M). full: the same -> (B, M) and the switches (B, m).
        push: (B, N), directions (K, B, N), ... -> derivatives (K, B, M) and (K, B, m); None
            where torch has no forward derivative of an operation, with the ``reason``.
    """

    value: GraphModule
    full: GraphModule
    push: GraphModule | None
    reason: str


def traced(function: Callable[..., Tensor], *batch: Tensor, directions: int) -> Traced:
    """Trace ``function`` over the arguments ``batch``, each (B, ...); ``directions`` is K, or 0 for no derivatives."""
    lane = trace(function, *(argument[0] for argument in batch))
    if not directions:
        value = trace(vmap(lane), *batch)
        return Traced(value, value, None, "no bound was asked for")
    switching = _with_switches(lane)
    full = trace(vmap(switching), *batch)
    value = _first_output(full)

    def push(z: Tensor, along: Tensor, *rest: Tensor) -> Any:
        def one(direction: Tensor) -> Any:
            return jvp(lambda q: vmap(switching)(q, *rest), (z,), (direction,))[1]

        return vmap(one)(along)

    try:
        first = batch[0].expand(directions, *batch[0].shape)
        return Traced(value, full, trace(push, batch[0], first, *batch[1:]), "")
    except (RuntimeError, NotImplementedError) as error:
        text = str(error).strip().splitlines()[0]
        return Traced(value, full, None, f"torch has no forward derivative here ({text})")


def compiled(graph: GraphModule, *batch: Tensor) -> Callable[..., Tensor]:
    """``graph`` through torch.compile, compiled now.

    Raises:
        whatever torch.compile raises: there is no way back to the uncompiled graph.
    """
    fast: Callable[..., Tensor] = torch.compile(graph, fullgraph=True, dynamic=False)
    fast(*batch)
    return fast
