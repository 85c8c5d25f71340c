"""What the commands share: kinds of arguments, and the line that says what is going on."""

import argparse
import shutil
import sys


def plain(name):
    """Return a name as it is typed.

    Parameters
    ----------
    name : str
        For instance ``single 7x86``.

    Returns
    -------
    typed : str
        For instance ``single_7x86``.
    """
    return name.lower().replace(" ", "_").replace("-", "_")


def one_of(names):
    """Make the type of an argument that is one of some names, in any spelling.

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
    """One line on the terminal that says what is going on, gone when no longer true.

    Written to stderr, and only if that is a terminal: logs keep the finished rows alone.
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
            text = text[: shutil.get_terminal_size().columns - 1]  # a wrapped line would stay
            sys.stderr.write("\r" + text.ljust(self._length) + ("" if text else "\r"))
            sys.stderr.flush()
            self._length = len(text)

    def clear(self):
        """Take the line away."""
        self.show("")
