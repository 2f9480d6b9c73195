"""The version, written once: the build reads this file and so does ``lemmata.__version__``."""

__version__ = "0.1.0"
