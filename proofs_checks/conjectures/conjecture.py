"""Conjectures: a function of a case that returns comparisons, traced once per structure of the case."""

from __future__ import annotations

import linecache
import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from hypothesis.strategies import SearchStrategy

from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.samples import Leaf, Structure, leaves, put_together
from theory.errors import LemmataError
from theory.program import Program
from theory.tracing import Array, Comparison, FreeConstant, Number, Recorder, active
from theory.user_file import quietly

MAX_TRACES = 512  # structures kept per conjecture
AGAIN, MOST_AGAIN = 8, 16  # traces at the end of a search


class ConjectureError(LemmataError):
    """A conjecture that cannot be evaluated; the message names the line."""


@dataclass(frozen=True)
class Traced:
    """A conjecture as a program, for cases of one structure.

    Attributes:
        program: pruned; its inputs are the paths of leaves, and "constant:NAME" for free constants.
        leaves: path -> leaf, of all leaves of the case. constants: by name.
    """

    program: Program
    leaves: Mapping[str, Leaf]
    constants: Mapping[str, FreeConstant]


class Conjecture:
    """A claim about all cases that a strategy can draw.

    Made by `conjecture`; calling it calls the function.

    Attributes:
        name: of the function. file, line: where it is defined. case: the strategy.
    """

    def __init__(self, function: Callable[[Any], Any], case: SearchStrategy[Any]) -> None:
        code = getattr(function, "__code__", None)
        self.function, self.case = function, case
        self.name: str = getattr(function, "__name__", "conjecture")
        self.file: str = code.co_filename if code else ""
        self.line: int = code.co_firstlineno if code else 0
        self.__doc__ = function.__doc__
        self._traces: dict[Structure, Traced] = {}

    def __call__(self, case: Any) -> Any:
        return self.function(case)

    def __repr__(self) -> str:
        return f"<conjecture {self.name}>"

    def trace(self, case: ConjectureCase) -> Traced:
        """The program for the structure of a case.

        Raises:
            ConjectureError: the function raises, returns no comparison, or returns another expression when it is
                called again (hidden randomness).
        """
        structure = case.structure
        if structure not in self._traces:
            first = self._trace(structure)
            self._compare(first, self._trace(structure))
            if len(self._traces) >= MAX_TRACES:
                self._traces.pop(next(iter(self._traces)))
            self._traces[structure] = first
        return self._traces[structure]

    def again(self) -> None:
        """Trace what was traced before once more, several times where there is little.

        Raises:
            ConjectureError: another expression.
        """
        known = list(self._traces.items())[:MOST_AGAIN]
        for structure, first in known * math.ceil(AGAIN / max(len(known), 1)):
            self._compare(first, self._trace(structure))

    def _compare(self, first: Traced, again: Traced) -> None:
        if first != again:
            raise ConjectureError(
                f"{self._at(self._difference(first, again))}: the conjecture is flaky: called twice on one case it "
                "gives two expressions; draw everything random with its strategy"
            )

    def _trace(self, structure: Structure) -> Traced:
        found = dict(leaves(structure))
        with Recorder() as recorder:
            arrays = {path: recorder.input(path, leaf.shape) for path, leaf in found.items()}
            try:
                returned = quietly(lambda: self.function(put_together(structure, arrays)))
                program = recorder.program(self._comparisons(returned)).pruned()
            except ConjectureError:
                raise
            except (Exception, SystemExit) as error:
                line = self._line_of(error)
                kind = "" if isinstance(error, LemmataError) else f"{type(error).__name__}: "
                raise ConjectureError(f"{self._at(line)}: {kind}{error}") from error
            return Traced(program, found, dict(recorder.constants))

    def _comparisons(self, returned: Any) -> list[tuple[str, Comparison]]:
        if isinstance(returned, Mapping):
            named = [(str(k), v) for k, v in returned.items()]
        elif isinstance(returned, Sequence) and not isinstance(returned, str):
            named = [(f"{k + 1}", v) for k, v in enumerate(returned)]
        else:
            named = [("", returned)]
        others = [v for _, v in named if not isinstance(v, Comparison)]
        if not named or others:
            wrong = others[0] if others else None
            what = "nothing" if returned is None else f"{wrong!r:.80}" if named else "no comparison"
            hint = ""
            if isinstance(wrong, bool):
                hint = " (a comparison of plain numbers, which do not depend on the case)"
            if isinstance(wrong, Array):
                hint = " (an array; compare it with something)"
            raise ConjectureError(
                f"{self._at(self.line)}: {self.name} returns {what}{hint}; return a comparison such as lhs <= rhs, "
                "or a list or dictionary of them"
            )
        return named

    def _line_of(self, error: BaseException) -> int:
        """The last line of the conjecture's own file on the way to an error."""
        own = [
            f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == self.file
        ]
        return own[-1] if own and own[-1] else self.line

    def _difference(self, first: Traced, again: Traced) -> int:
        pairs = zip(first.program.instructions, again.program.instructions, strict=False)
        return next((a.line for a, b in pairs if a != b and a.line), self.line)

    def _at(self, line: int) -> str:
        return f"{Path(self.file).name or '<conjecture>'}, line {line}"

    def where(self, line: int) -> str:
        """A line of the conjecture's file with its text, for messages."""
        text = linecache.getline(self.file, line).strip()
        return self._at(line) + (f" ({text})" if text else "")


def conjecture(*, case: SearchStrategy[Any]) -> Callable[[Callable[[Any], Any]], Conjecture]:
    """Make a conjecture out of a function that takes a case and returns comparisons.

    Args:
        case: the strategy that draws cases: one of `lemmata.strategies`, or any Hypothesis strategy whose values are
            arrays, numbers, or dictionaries, lists and samples of them. The search moves what our own strategies draw
            within its domain, and holds fixed what others draw.

    The function is called with traced arrays: it may compute with the operations of `lemmata.ops` (or numpy's of the
    same names), branch on shapes, and call `assume` and `constant`; it returns ``lhs <= rhs`` or several such, as a
    list or a dictionary with names.

    Raises:
        LemmataError: ``case`` is no strategy.
    """
    if not isinstance(case, SearchStrategy):
        raise LemmataError(
            f"case={case!r:.60} is no strategy; use lemmata.strategies or hypothesis.strategies"
        )
    return lambda function: Conjecture(function, case)


def assume(comparison: Any, name: str = "") -> None:
    """A hypothesis of the conjecture that is being traced: where it fails, the case is vacuous.

    Unlike Hypothesis' function of this name it takes a comparison of traced arrays, and nothing is discarded silently:
    the rate of vacuous cases is reported.

    Raises:
        LemmataError: outside of a conjecture, or not a comparison.
    """
    if not isinstance(comparison, Comparison):
        raise LemmataError(
            f"assume({comparison!r:.60}): give a comparison of arrays, such as 0 < case.mu"
        )
    active().assume(comparison, name)


def constant(name: str, *, low: Number | None = None, high: Number | None = None) -> Array:
    """A free constant of the conjecture that is being traced: the search reports the best value that it supports.

    Args:
        low, high: the values of interest; by default all numbers.

    Raises:
        LemmataError: outside of a conjecture, no identifier, a range that is none, or a name with two of them.
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise LemmataError(f"constant({name!r:.60}): give a name such as 'c'")
    ends = [x for x in (low, high) if x is not None]
    plain = all(isinstance(x, int | float | Fraction) and math.isfinite(x) for x in ends)
    if not plain or (len(ends) == 2 and ends[0] >= ends[1]):
        raise LemmataError(
            f"constant({name!r}, low={low!r:.40}, high={high!r:.40}): give finite numbers, the smaller one as low; "
            "None where there is no end"
        )
    return active().constant(name, low, high)
