"""Operations on arrays within a conjecture; numpy's functions of the same names do the same there."""

from theory.array_functions import *  # noqa: F403
from theory.array_functions import __all__ as __all__
