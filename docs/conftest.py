"""Doctests of the pages run as scripts do: what they define can be pickled."""

import sys
import types

import pytest


class _Page(types.ModuleType):
    """A page as the main module."""

    def __init__(self, names):
        super().__init__("__main__")
        self._names = names

    def __getattr__(self, name):
        try:
            return vars(self)["_names"][name]
        except KeyError:
            raise AttributeError(name) from None


@pytest.fixture(autouse=True)
def page_as_main_module(request, monkeypatch):
    """Let classes that are defined on a page be found in the main module, as in a script."""
    monkeypatch.setitem(sys.modules, "__main__", _Page(request.node.dtest.globs))
