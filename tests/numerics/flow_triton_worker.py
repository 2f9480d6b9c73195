"""Runs cases of the CUDA engine in Triton's interpreter: python flow_triton_worker.py IN OUT.

A process of its own, because triton reads TRITON_INTERPRET when kernels are defined. IN holds a
pickled list of (problem, arguments of ``run_cuda``), OUT takes the list of results, or of the
exceptions and warnings that came instead.
"""

from __future__ import annotations

import os
import pickle
import sys
import warnings
from pathlib import Path
from typing import Any

os.environ["TRITON_INTERPRET"] = "1"


def keep_patches() -> None:
    """Patch triton's language once, and not anew around every nested call: 3 times faster."""
    from triton.runtime import interpreter

    patch, done = interpreter._patch_lang, set()

    class Kept:
        def restore(self) -> None:
            """Stays patched: nothing else uses triton in this process."""

    def once(function: Any) -> Kept:
        modules = (interpreter.tl, interpreter.tl.core)
        used = tuple(m.__name__ for m in modules if m in _modules(function))
        if used not in done:
            done.add(used)
            patch(function)
        return Kept()

    interpreter._patch_lang = once


def _modules(function: Any) -> list[Any]:
    return [value for value in function.__globals__.values() if isinstance(value, type(sys))]


def main() -> None:
    """Run all cases of the file."""
    keep_patches()
    from numerics.flow_triton import run_cuda

    cases = pickle.loads(Path(sys.argv[1]).read_bytes())
    results: list[Any] = []
    for problem, arguments in cases:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                result: Any = run_cuda(problem, **arguments)
            except ValueError as error:
                result = error
        results.append((result, [str(w.message) for w in caught]))
    Path(sys.argv[2]).write_bytes(pickle.dumps(results))


if __name__ == "__main__":
    main()
