"""The command line: ``skaudio compare --demo``, or ``python -m skaudio compare --demo``."""

import argparse
import os
import shutil
import sys
import time

from . import __version__


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
    parser = argparse.ArgumentParser(
        prog="skaudio", description="Neural audio features as scikit-learn transformers."
    )
    parser.add_argument("--version", action="version", version=f"skaudio {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_compare(commands)
    args = parser.parse_args(argv)
    try:
        return args.run(args)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130


def _add_compare(commands):
    """Declare the command ``compare``."""
    command = commands.add_parser(
        "compare",
        help="which features suit these sounds",
        description="Score the extractors with a support vector machine behind them. "
        "Prints a table while it goes, writes it as CSV and draws it.",
    )
    command.add_argument(
        "--demo",
        action="store_true",
        required=True,
        help="compare on synthetic instrument notes, made on the spot",
    )
    command.add_argument(
        "--out",
        metavar="DIR",
        default="skaudio-compare",
        help="folder for compare.csv and compare.png (default: %(default)s)",
    )
    command.add_argument(
        "--draws",
        metavar="N",
        type=_positive,
        default=3,
        help="random draws of each random network (default: %(default)s)",
    )
    command.add_argument(
        "--seed",
        metavar="N",
        type=int,
        default=0,
        help="seed of the sounds and of the first draw (default: %(default)s)",
    )
    command.set_defaults(run=_compare)


def _positive(text):
    """Read a whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not at least 1")
    return number


def _compare(args):
    """Run ``skaudio compare``."""
    begin = time.perf_counter()
    status = _Status()
    status.show("loading")
    from .compare import compare_extractors, table_lines, write_rows
    from .datasets import make_sounds

    sounds = make_sounds(random_state=args.seed)
    extractors = _demo_extractors(sounds.sample_rate)
    os.makedirs(args.out, exist_ok=True)
    status.clear()
    print(
        f"{len(sounds.data)} synthetic notes of {len(sounds.target_names)} instruments, "
        f"{len(sounds.splits)} splits that keep the pitches apart\n"
        f"SVM behind each extractor; mean ± std over {args.draws} random draws\n"
    )
    csv_path = os.path.join(args.out, "compare.csv")
    rows = []
    running = compare_extractors(
        extractors,
        sounds.data,
        sounds.target,
        splits=sounds.splits,
        draws=args.draws,
        random_state=args.seed,
        data="make_sounds",
        progress=lambda text: status.show(f"[{len(rows) + 1}/{len(extractors)}] {text}"),
    )

    def saved():
        for row in running:
            rows.append(row)
            write_rows(rows, csv_path)
            status.clear()
            yield row

    for line in table_lines(saved()):
        print(line, flush=True)
    print(f"{'(chance)':24}   {rows[0].chance:.3f}\n")
    print(f"table:   {csv_path}")
    print(f"picture: {_picture(rows, args.out)}")
    print(f"{time.perf_counter() - begin:.0f} seconds in all")
    return 0


def _demo_extractors(sample_rate):
    """Return the MFCCs and every random network, at one sample rate."""
    from . import MFCCTransformer
    from .compare import random_networks

    return {
        "MFCC": MFCCTransformer(sample_rate=sample_rate),
        **random_networks(sample_rate=sample_rate),
    }


def _picture(rows, folder):
    """Draw the rows; return the path, or what to do where matplotlib is missing."""
    from .plotting import ComparisonDisplay

    path = os.path.join(folder, "compare.png")
    try:
        display = ComparisonDisplay.from_rows(rows).plot()
    except ImportError:
        return "none, matplotlib is not installed; run `pip install skaudio[plot]`"
    display.figure_.savefig(path, dpi=150)
    return path


class _Status:
    """One line on the terminal that says what is going on, gone when no longer true.

    Written to stderr, and only if that is a terminal: logs keep the finished rows alone.
    """

    def __init__(self):
        self._terminal = sys.stderr.isatty()
        self._length = 0

    def show(self, text):
        """Replace the line."""
        if self._terminal:
            text = text[: shutil.get_terminal_size().columns - 1]  # a wrapped line would stay
            sys.stderr.write("\r" + text.ljust(self._length))
            sys.stderr.flush()
            self._length = len(text)

    def clear(self):
        """Take the line away."""
        self.show("")
        if self._terminal:
            sys.stderr.write("\r")
            sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
