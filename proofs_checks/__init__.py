"""Judges: verdicts, certificates, the audit kernel, conjecture search and reports.

Imports `theory` and `numerics`; importing this package alone loads nothing heavy.
"""
