"""The version of the library, in a file of its own: nothing has to import the package for it."""

__all__ = ["__version__"]

__version__ = "0.1.0"
