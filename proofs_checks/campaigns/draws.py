"""Cases of a conjecture, drawn from its strategy with a seed."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import HypothesisException
from hypothesis.strategies import SearchStrategy

from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.strategies.repeatable import repeatable
from theory.errors import LemmataError
from theory.user_file import quietly

RUNS = 50  # of Hypothesis, each with another seed, until there are enough cases


def draw_cases(
    strategy: SearchStrategy[Any], count: int, number: int, *, simplest: bool = True
) -> list[ConjectureCase]:
    """``count`` cases, the same whenever ``number`` is the same.

    A strategy with few values repeats them.

    Args:
        simplest: begin with the simplest case, as Hypothesis does; otherwise leave it out, unless it is the only one.

    Raises:
        LemmataError: the strategy raises, or filters out nearly everything.
    """
    drawn: list[Any] = []
    for attempt in range(RUNS):
        fresh: list[Any] = []
        skip = 0 if simplest and attempt == 0 else 1
        _run(strategy, count - len(drawn) + skip, number + attempt * 2**64, fresh)
        drawn += fresh[skip:] if len(fresh) > skip else fresh
        if len(drawn) >= count:
            return [ConjectureCase.of(value) for value in drawn[:count]]
    raise LemmataError(
        f"the strategy gave {len(drawn)} of {count} cases; it filters out nearly everything: draw what is wanted"
    )


def _run(strategy: SearchStrategy[Any], count: int, number: int, out: list[Any]) -> None:
    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: Any) -> None:
        out.append(value)

    try:
        with repeatable():
            quietly(collect)
    except HypothesisException as error:
        if not out:
            raise LemmataError(f"the strategy draws nothing: {error}") from error
    except LemmataError:
        raise
    except (Exception, SystemExit) as error:
        raise LemmataError(
            f"the strategy does not run: {type(error).__name__}: {error}; repair it"
        ) from error
