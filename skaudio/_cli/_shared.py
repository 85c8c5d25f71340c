"""Helpers of all commands: types of arguments, and a status line."""

import argparse
import shutil
import sys


def plain(name):
    """Return a name in the form that is typed on the command line.

    Parameters
    ----------
    name : str
        For instance ``single 7x86``.

    Returns
    -------
    typed : str
        For instance ``single_7x86``.
    """
    return name.lower().replace(" + ", "_").replace(" ", "_").replace("-", "_")


def one_of(names):
    """Make the type of an argument that is one of several names, in either form.

    Parameters
    ----------
    names : sequence of str
        The names.

    Returns
    -------
    read : callable
        From the word typed to the name.
    """

    def read(text):
        for name in names:
            if plain(text) == plain(name):
                return name
        raise argparse.ArgumentTypeError(
            f"{text} is unknown; there are {', '.join(map(plain, names))}"
        )

    return read


def at_least(least):
    """Make the type of an argument that is a whole number.

    Parameters
    ----------
    least : int
        The smallest that is taken.

    Returns
    -------
    number : callable
        From the word typed to the number.
    """

    def number(text):
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is not at least {least}")
        return int(text)

    return number


class Status:
    """A status line on the terminal, which is removed when it is no longer true.

    It is written to stderr, and only if that is a terminal, so that logs hold results only.
    """

    def __init__(self):
        self._length = 0

    def show(self, text):
        """Replace the line.

        Parameters
        ----------
        text : str
            What is going on.
        """
        if sys.stderr.isatty():
            # cut to the width of the terminal, since a wrapped line cannot be removed
            text = text[: shutil.get_terminal_size().columns - 1]
            sys.stderr.write("\r" + text.ljust(self._length) + ("" if text else "\r"))
            sys.stderr.flush()
            self._length = len(text)

    def clear(self):
        """Remove the line."""
        self.show("")
