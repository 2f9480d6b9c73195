"""What is said: statements, hypotheses, constants, derivations and exact algebra.

Imports nothing of `numerics`; importing this package loads neither sympy nor python-flint.
"""

import time

LOADED_AT = time.time()  # no other source of this package was read by this process before then
