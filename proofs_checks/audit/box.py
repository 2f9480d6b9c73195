"""Kind "inequality on a box": lhs <= rhs (or <) for all values of the variables in their ranges.

The witness is a list of nodes in preorder, and the precision in bits.  With f = lhs - rhs:
["split", x, "p/q"] cuts the box, lower part first; ["monotone", x, "up"] claims f nondecreasing in
x, so that the face where x is largest decides (if that end is open, f must be monotone with the end
included, and if f increases strictly, < becomes <= there); "down" likewise; ["value"]: the
enclosure of f decides; ["mean value"]: f(c) + sum of slope_x (x - c_x) does, c the middle.
"""

from __future__ import annotations

import re
from typing import Any

from flint import ctx

from proofs_checks.audit.arithmetic import ZERO, Pair, add, constant, mul, neg
from proofs_checks.audit.closed_form import evaluate, parse
from proofs_checks.audit.core import Clock, Rejected, exact, fields

MAX_VARIABLES, MAX_OPEN = 64, 10_000  # bound the memory that a hostile tree can ask for


def check(claim: Any, inputs: Any, witness: Any, clock: Clock) -> str:
    """The claim in words; raises Rejected if the tree does not prove it."""
    variables, lhs, relation, rhs = fields(claim, ("variables", "lhs", "relation", "rhs"), "claim")
    fields(inputs, (), "inputs")
    tree, precision, leaves = fields(witness, ("tree", "precision", "leaves"), "witness")
    if relation not in ("<=", "<") or not isinstance(variables, dict) or not isinstance(tree, list):
        raise Rejected("the relation must be '<=' or '<', variables an object, the tree a list")
    if type(precision) is not int or not 24 <= precision <= 1024 or type(leaves) is not int:
        raise Rejected("leaves must be an integer, precision an integer from 24 to 1024")
    if len(variables) > MAX_VARIABLES:
        raise Rejected(f"more than {MAX_VARIABLES} variables")
    box = {name: _range(name, side) for name, side in variables.items()}
    difference = parse(["add", lhs, ["neg", rhs]], box, clock)
    with ctx.workprec(precision):
        found = _walk(difference, box, relation, tree, clock)
    if found != leaves:
        raise Rejected(f"the tree has {found} leaves, not {leaves}")
    where = ", ".join(
        f"{name} in {'[('[side['lo_open']]}{side['lo']}, {side['hi']}{'])'[side['hi_open']]}"
        for name, side in variables.items()
    )
    return f"proved{where and ' for '}{where}: {_words(lhs)} {relation} {_words(rhs)}"


def _range(name: str, side: Any) -> Pair:
    *ends, lo_open, hi_open = fields(
        side, ("lo", "hi", "lo_open", "hi_open"), f"range of {name!a:.40}"
    )
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]{0,63}", name) or {type(lo_open), type(hi_open)} != {
        bool
    }:
        raise Rejected(f"{name!a:.40} is no name, or lo_open and hi_open are not true or false")
    lo, hi = (exact(end, f"range of {name}") for end in ends)
    if lo > hi or (lo == hi and (lo_open or hi_open)):
        raise Rejected(f"the range of {name} is empty")
    return (0, lo, int(lo_open)), (0, hi, -int(hi_open))


def _walk(f: Any, box: dict[str, Pair], relation: str, tree: list[Any], clock: Clock) -> int:
    """Check every node; the number of leaves."""
    todo, leaves = [(box, relation)], 0
    for node in tree:
        clock.tick()
        if not 0 < len(todo) <= MAX_OPEN:
            raise Rejected(
                f"the tree goes on after its last leaf, or has over {MAX_OPEN} open boxes"
            )
        kind, *rest = node if isinstance(node, list) and node else [None]
        box, relation = todo.pop()
        if kind == "split" and len(rest) == 2 and rest[0] in list(box):
            (low, high), cut = box[rest[0]], exact(rest[1], "split")
            if not low[1] < cut < high[1]:
                raise Rejected(f"the split of {rest[0]} at {cut!s:.60} is not inside its range")
            point = (0, cut, 0)
            todo += [
                (box | {rest[0]: (point, high)}, relation),
                (box | {rest[0]: (low, point)}, relation),
            ]
        elif (
            kind == "monotone"
            and len(rest) == 2
            and rest[0] in list(box)
            and rest[1] in ("up", "down")
        ):
            todo.append(_face(f, box, relation, rest[0], rest[1] == "up", clock))
        elif node in (["value"], ["mean value"]):
            leaves += 1
            found = evaluate(f, box, None, clock)[0] if kind == "value" else _mean(f, box, clock)
            if not (found[1] <= ZERO if relation == "<=" else found[1] < ZERO):
                raise Rejected(
                    f"leaf {leaves}: lhs - rhs is not shown to be {relation} 0 on {_show(box)}"
                )
        else:
            raise Rejected(f"not a node of a tree: {node!a:.80}")
    if todo:
        raise Rejected(f"the tree ends before {len(todo)} of its boxes are decided")
    return leaves


def _face(
    f: Any, box: dict[str, Pair], relation: str, name: str, up: bool, clock: Clock
) -> tuple[dict[str, Pair], str]:
    """The face on which a monotone f is largest, and what f must satisfy there."""

    def rises(side: Pair) -> Pair:
        slope = evaluate(f, box | {name: side}, name, clock)[1]
        if (slope if up else neg(slope))[0] < ZERO:
            raise Rejected(f"lhs - rhs is not shown to be monotone in {name} on {_show(box)}")
        return slope if up else neg(slope)

    low, high = box[name]
    slope, end = rises((low, high)), (0, (high if up else low)[1], 0)
    if (high if up else low) != end:  # f < f(end) on the box if f is strictly monotone there
        rises((low, end) if up else (end, high))
        relation = "<=" if slope[0] > ZERO else relation
    return box | {name: (end, end)}, relation


def _mean(f: Any, box: dict[str, Pair], clock: Clock) -> Pair:
    """Mean-value form about the middle of the box."""
    centre = {name: constant((low[1] + high[1]) / 2) for name, (low, high) in box.items()}
    total = evaluate(f, centre, None, clock)[0]
    for name, side in box.items():
        if side != centre[name]:
            slope = evaluate(f, box, name, clock)[1]
            total = add(total, mul(slope, add(side, neg(centre[name]))))
    return total


def _show(box: dict[str, Pair]) -> str:
    sides = (f"{name} from {low[1]!s:.40} to {high[1]!s:.40}" for name, (low, high) in box.items())
    return ", ".join(sides) or "the given numbers"


def _words(data: list[Any]) -> str:
    op, *args = data
    if op in ("rat", "var", "pi"):
        return (f"({args[0]})" if "/" in args[0] else str(args[0])) if args else op
    infix = {"add": " + ", "mul": " * ", "div": " / ", "pow": "^"}
    parts = [_words(arg) for arg in args]
    return f"({infix[op].join(parts)})" if op in infix else f"{op}({', '.join(parts)})"
