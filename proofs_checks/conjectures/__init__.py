"""Conjectures: traced once, evaluated on batches, searched, shrunk, and certified where they fail."""
