"""A user's Python file, run for the objects that it defines."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

from theory.errors import LemmataError


def load(path_text: str, usage: str) -> ModuleType:
    """Run a file and return its module; what it prints goes to the standard error.

    Args:
        usage: the form of the argument, for messages: "FILE.py::NAME".

    Raises:
        LemmataError: no such file, no Python file, or it does not run.
    """
    path = Path(path_text)
    if not path.is_file():
        raise LemmataError(f"{path_text}: no such file; give {usage}")
    if path.suffix != ".py":
        raise LemmataError(f"{path_text} is no Python file; give {usage}")
    spec = importlib.util.spec_from_file_location(f"lemmata_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise LemmataError(f"{path_text} cannot be imported; give a readable Python file")
    loader, module = spec.loader, importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    run(lambda: loader.exec_module(module), path_text)
    return module


def quietly(action: Callable[[], Any]) -> Any:
    """The result of a user's code; what it prints goes to the standard error, as stdout is for the answer."""
    with redirect_stdout(sys.stderr):
        return action()


def run(action: Callable[[], Any], what: str) -> Any:
    """The result of a user's code; what it prints goes to the standard error, as stdout is for the answer.

    Raises:
        LemmataError: it fails or exits.
    """
    try:
        return quietly(action)
    except (Exception, SystemExit) as error:
        raise LemmataError(
            f"{what} does not run: {type(error).__name__}: {error}; repair it"
        ) from error
