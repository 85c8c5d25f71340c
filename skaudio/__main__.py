"""The command line: ``skaudio compare --demo``, or ``python -m skaudio compare --demo``."""

import argparse
import os
import sys

from ._cli import compare
from ._version import __version__


def main(argv=None):
    """Run a command.

    Parameters
    ----------
    argv : list of str, default=None
        The words after ``skaudio``. None: those of the command line.

    Returns
    -------
    code : int
        0 when all went well, 130 when interrupted.
    """
    # idle threads sleep: on shared cores, busy waiting makes everything several times slower
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # for names that cannot be encoded
    parser = argparse.ArgumentParser(
        prog="skaudio", description="Neural audio features as scikit-learn transformers."
    )
    parser.add_argument("--version", action="version", version=f"skaudio {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    compare.add_parser(commands)
    args = parser.parse_args(argv)
    try:
        return args.run(args)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
