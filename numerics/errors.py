"""The one exception that this room raises for bad input."""

from __future__ import annotations


class NumericsError(ValueError):
    """Input that cannot be measured; the message names the remedy."""
