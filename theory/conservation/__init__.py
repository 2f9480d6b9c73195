"""Polynomial conservation laws of gradient flows: all of them up to a degree, and how many there can be.

`model` and `builders` say what a model is, `lie` bounds the number of laws from above, `laws` finds and
verifies them, `analysis` puts both together.
"""
