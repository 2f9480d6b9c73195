"""What is said: statements, hypotheses, constants, derivations and exact algebra.

Imports nothing of `numerics`; importing this package loads neither sympy nor python-flint.
"""
