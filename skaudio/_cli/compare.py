"""The command ``skaudio compare``: what it asks, prints and leaves behind."""

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

SETS = {
    "fsdd": "fetch_fsdd",
    "esc10": "fetch_esc10",
    "gtzan": "load_gtzan",
    "extended_ballroom": "load_extended_ballroom",
    "urbansound8k": "load_urbansound8k",
}
EXTRACTORS = (
    "MFCC", "vgg", "single 7x86", "single 7x96", "timbral_temporal", "timbral", "temporal",
    "sample_level", "frame_level_many", "frame_level",
)  # fmt: skip
CLASSIFIERS = ("svm", "elm")

_DESCRIPTION = """\
Which features suit these sounds: every extractor with every classifier behind it, under splits
that keep groups apart, settings chosen inside the training parts. Prints a table while it goes;
writes it (CSV, JSON), a chart, the winner's confusion matrix, and the winner itself, learnt from
all clips. A run that was interrupted goes on where it stopped."""


def add_parser(commands):
    """Declare the command.

    Parameters
    ----------
    commands : argparse subparsers
        What the command is added to.
    """
    command = commands.add_parser(
        "compare", help="which features suit these sounds", description=_DESCRIPTION
    )
    command.add_argument(
        "folder",
        nargs="?",
        metavar="FOLDER",
        help="recordings: a sub-folder per class, or a metadata.csv with the columns filename, "
        "label and perhaps group and split; with --data, where that set lies",
    )
    add = command.add_argument
    add("--data", choices=SETS, help="a public data set; fsdd and esc10 are downloaded")
    add("--demo", action="store_true", help="synthetic instrument notes, made on the spot")
    add("--metadata", metavar="CSV", help="the table, if it is not FOLDER/metadata.csv")
    add(
        "--groups",
        metavar="COLUMN|LEVEL",
        help="what must not be in training and test at once (speaker, place, recording): a column "
        "of the table, or the folder level below the class, 1 for class/speaker/take.wav",
    )
    add("--cv", metavar="N", type=_at_least(2), help="splits (default: 5, or those of the set)")
    add(
        "--extractors",
        nargs="+",
        metavar="NAME",
        type=_one_of(EXTRACTORS),
        default=EXTRACTORS,
        help=f"among {', '.join(map(_plain, EXTRACTORS))} (default: all)",
    )
    add(
        "--classifiers",
        nargs="+",
        metavar="NAME",
        type=_one_of(CLASSIFIERS),
        default=CLASSIFIERS,
        help="svm, elm or both (default)",
    )
    add("--draws", metavar="N", type=_at_least(1), default=3, help="random draws (default: 3)")
    add("--seed", metavar="N", type=int, default=0, help="of splits and draws (default: 0)")
    add(
        "--sample-rate",
        metavar="HZ",
        type=_at_least(1000),
        default=16000,
        help="what files are resampled to (default: 16000)",
    )
    add("--n-jobs", metavar="N", type=int, help="processes and threads (default: 1, torch's own)")
    add("--skip-bad", action="store_true", help="leave out clips that cannot be used")
    add("--fresh", action="store_true", help="take no result from an earlier run")
    add("--out", metavar="DIR", default="skaudio-compare", help="default: %(default)s")
    command.set_defaults(run=lambda args: _checked(command, args))


def _plain(name):
    return name.lower().replace(" ", "_").replace("-", "_")


def _one_of(names):
    """Type of an argument that is one of some names, in any spelling."""

    def read(text):
        for name in names:
            if _plain(text) == _plain(name):
                return name
        raise argparse.ArgumentTypeError(
            f"{text} is unknown; there are {', '.join(map(_plain, names))}"
        )

    return read


def _at_least(least):
    """Type of an argument that is a whole number from `least` on."""

    def read(text):
        number = int(text)
        if number < least:
            raise argparse.ArgumentTypeError(f"{number} is not at least {least}")
        return number

    return read


def _checked(command, args):
    """Run the command; what the user can mend becomes one line instead of a traceback."""
    sources = bool(args.demo) + bool(args.data or args.folder)
    if sources != 1:
        command.error("name a FOLDER, a set with --data, or --demo")
    try:
        return _run(args)
    except (ImportError, OSError, ValueError) as error:
        print(f"\nskaudio compare: {error}", file=sys.stderr)
        return 1


def _run(args):
    """Load, compare, and write what came out."""
    begin, status = time.perf_counter(), Status()
    status.show("loading")
    import joblib

    from ..compare import compare_extractors, read_rows, table_lines, write_rows

    name, sounds = _load(args)
    sounds, hours, advice = _inspected(args, sounds, status)
    labels = [sounds.target_names[label] for label in sounds.target]
    extractors, classifiers = _chosen(args)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    json_path = out / "compare.json"
    finished = read_rows(json_path) if json_path.exists() and not args.fresh else []
    status.clear()
    print(_heading(args, name, sounds, hours), flush=True)
    for text in advice:
        print(f"warning: {text}", flush=True)
    print()

    rows, n_rows = [], len(extractors) * len(classifiers)
    with joblib.parallel_config(n_jobs=args.n_jobs):
        running = compare_extractors(
            extractors,
            sounds.data,
            labels,
            splits=sounds.splits,
            classifiers=classifiers,
            groups=sounds.groups,
            draws=args.draws,
            random_state=args.seed,
            data=name,
            finished=finished,
            progress=lambda text: status.show(f"[{len(rows)}/{n_rows}] {text}"),
        )

        def saved():
            for row in running:
                rows.append(row)
                # rows of other configurations wait behind those of this one
                write_rows([*rows, *_others(finished, rows)], json_path)
                write_rows(rows, out / "compare.csv")
                status.clear()
                yield row

        for line in table_lines(saved(), width=max(map(len, extractors))):
            print(line, flush=True)
        print(f"{'(chance)':{max(map(len, extractors))}}   {'':10}   {rows[0].chance:.3f}\n")
        _finish(args, sounds, labels, rows, extractors, classifiers, status)
    print(f"{time.perf_counter() - begin:.0f} seconds in all")
    return 0


def _others(finished, rows):
    known = {row.configuration for row in rows}
    return [row for row in finished if row.configuration not in known]


def _load(args):
    """Return the name of the set and the set."""
    from .. import datasets

    if args.demo:
        return "make_sounds", datasets.make_sounds(random_state=args.seed)
    if args.data:
        load = getattr(datasets, SETS[args.data])
        if args.data in ("fsdd", "esc10"):
            return args.data, load(data_home=args.folder)
        home = args.folder or os.path.join(os.environ.get("SKAUDIO_DATA", ""), args.data)
        return args.data, load(home)
    return Path(args.folder).resolve().name, _load_folder(args)


def _load_folder(args):
    """Read the user's folder; without --cv, into as many splits as the smallest class allows."""
    from ..datasets import load_audio_folder

    groups = int(args.groups) if args.groups and args.groups.isdecimal() else args.groups
    settings = {"metadata": args.metadata, "groups": groups, "random_state": args.seed}
    if args.cv:
        return load_audio_folder(args.folder, n_splits=args.cv, **settings)
    sounds = load_audio_folder(args.folder, n_splits=2, **settings)
    units = range(len(sounds.data)) if sounds.groups is None else sounds.groups
    of_class = [0] * len(sounds.target_names)
    for label, _ in {*zip(sounds.target, units, strict=True)}:
        of_class[label] += 1
    return load_audio_folder(args.folder, n_splits=min(5, *of_class), **settings)


def _inspected(args, sounds, status):
    """Return the set without unusable clips, its hours of sound, and warnings about it."""
    from ..compare._advice import inspect, usable, warnings_about

    if args.demo:
        return sounds, sum(map(len, sounds.data)) / sounds.sample_rate / 3600, []
    status.show(f"reading {len(sounds.data)} clips")
    clips, errors = inspect(sounds.data)
    if errors and not args.skip_bad:
        listed = "\n".join(f"  {error.name} {error.problem}" for error in errors[:20])
        more = f"\n  and {len(errors) - 20} more" if len(errors) > 20 else ""
        raise ValueError(
            f"{len(errors)} of {len(sounds.data)} clips cannot be used:\n{listed}{more}\n"
            "Remove or repair them, or pass --skip-bad to leave them out."
        )
    sounds = usable(sounds, errors)
    advice = [f"{len(errors)} clips that cannot be used are left out"] if errors else []
    rates, seconds = zip(*clips, strict=True)
    folder = None if args.data else args.folder
    return sounds, sum(seconds) / 3600, [*advice, *warnings_about(sounds, rates, folder=folder)]


def _chosen(args):
    """Return the extractors and classifiers that were asked for, by name."""
    from ..compare import TunedELM, TunedSVM, standard_extractors

    every = standard_extractors(sample_rate=args.sample_rate)
    machines = {"svm": TunedSVM, "elm": TunedELM}
    return (
        {name: every[name] for name in args.extractors},
        {name.upper(): machines[name]() for name in args.classifiers},
    )


def _heading(args, name, sounds, hours):
    kept = "" if sounds.groups is None else " that keep the groups apart"
    what = "synthetic notes" if args.demo else f"clips in {name}"
    draws = f"mean ± std over {args.draws} random draws" if args.draws > 1 else "one random draw"
    return (
        f"{len(sounds.data)} {what}, {len(sounds.target_names)} classes, {hours:.2f} h, "
        f"{len(sounds.splits)} splits{kept}\n"
        f"Settings of the classifiers chosen inside each training part; {draws}"
    )


def _finish(args, sounds, labels, rows, extractors, classifiers, status):
    """Draw the rows and the winner's confusions, save the winner, and say where all is."""
    from ..compare._report import save_pictures, save_winner

    out = Path(args.out)
    best = max(rows, key=lambda row: row.accuracy)
    print(f"winner:    {best.extractor} + {best.classifier}, accuracy {best.accuracy:.3f}")
    if len(rows) > 1:
        print(f"           (the best of {len(rows)}: expect a little less on new recordings)")
    print(f"table:     {out / 'compare.csv'}, {out / 'compare.json'}")
    status.show("drawing")
    pictures = save_pictures(rows, best, sounds.target_names, out)
    status.clear()
    print(f"pictures:  {pictures}")
    status.show(f"learning {best.extractor} + {best.classifier} from all clips")
    saved = save_winner(
        out / "winner.skops",
        extractors[best.extractor],
        classifiers[best.classifier],
        sounds.data,
        labels,
        groups=sounds.groups,
        random_state=args.seed,
    )
    status.clear()
    print(f"{saved}\n")


class Status:
    """One line on the terminal that says what is going on, gone when no longer true.

    Written to stderr, and only if that is a terminal: logs keep the finished rows alone.
    """

    def __init__(self):
        self._terminal = sys.stderr.isatty()
        self._length = 0

    def show(self, text):
        """Replace the line.

        Parameters
        ----------
        text : str
            What is going on.
        """
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
