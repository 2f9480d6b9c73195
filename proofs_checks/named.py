"""What statements and tables name in text, loaded when it is needed."""

from __future__ import annotations

import importlib
from typing import Any

from theory.errors import LemmataError


def load(path: str, what: str, form: str = "module:class") -> Any:
    """The object that "module:name" stands for.

    Raises:
        LemmataError: there is no such module, or nothing of that name in it.
    """
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise LemmataError(f"{what} {path!r} cannot be loaded: {error}; give '{form}'") from error
