"""Derivations by name, loaded when they are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proofs_checks import derivation_cache
from proofs_checks.named import load
from theory.errors import DerivationError
from theory.statement import Statement

if TYPE_CHECKING:
    from theory.derivation import Derivation


def load_derivation(path: str) -> Derivation:
    """The derivation that "module:function" builds.

    Raises:
        LemmataError: there is no such module or function.
    """
    build = load(path, "derivation", "module:function")
    return build()


def derivation_status(statement: Statement) -> tuple[str, str]:
    """("verified" or "stated", why not): every derivation of the statement is checked step by step."""
    if not statement.derivations:
        return "stated", ""
    try:
        for path in statement.derivations.values():
            load_derivation(path).verify()
    except DerivationError as error:
        return "stated", str(error)
    derivation_cache.remember(statement)
    return "verified", ""


def known_status(statement: Statement) -> tuple[str, str] | None:
    """What `derivation_status` says, where it takes no check: None if there is one to be made."""
    if not statement.derivations:
        return "stated", ""
    return ("verified", "") if derivation_cache.is_known(statement) else None
