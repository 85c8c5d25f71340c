"""The command ``skaudio compare``: its arguments, its output and its result files."""

import os
import shutil
import sys
import time
from pathlib import Path

from ._shared import Status, at_least, one_of, plain

SETS = {
    "fsdd": "fetch_fsdd",
    "esc10": "fetch_esc10",
    "gtzan": "load_gtzan",
    "extended_ballroom": "load_extended_ballroom",
    "urbansound8k": "load_urbansound8k",
}
EXTRACTORS = (
    "MFCC", "vgg", "single 7x86", "single 7x96", "timbral_temporal", "timbral", "temporal",
    "sample_level", "frame_level_many", "frame_level", "prosody + MFCC + vgg",
)  # fmt: skip
# The third has the next best mean over the open sets in the guide. It is strong on rhythm, where
# vgg is weak.
QUICK = ("MFCC", "vgg", "timbral_temporal")
CLASSIFIERS = ("svm", "elm")
DEMO_CLIPS = 160  # with two draws, all extractors take less than a minute on two cores

_DESCRIPTION = """\
Find the features that suit these sounds: every extractor with every classifier, under splits that
never have a group on both sides, with settings chosen inside the training parts. Prints a table
as it is computed, and writes it (CSV, JSON), a chart, the winner's confusion matrix, and the winner
itself, fitted to all clips, if it is better than chance. The winner has the highest accuracy, or
the highest balanced accuracy if the largest class has more than 1.5 times as many clips as the
smallest. An interrupted run continues where it stopped."""


def add_parser(commands):
    """Declare the command.

    Parameters
    ----------
    commands : argparse subparsers
        What the command is added to.
    """
    command = commands.add_parser(
        "compare", help="find the features that suit your sounds", description=_DESCRIPTION
    )
    _add_source(command.add_argument_group("recordings").add_argument)
    _add_work(command.add_argument_group("work").add_argument)
    command.add_argument(
        "--out", metavar="DIR", default="skaudio-compare", help="results (default: %(default)s)"
    )
    command.set_defaults(run=lambda args: _checked(command, args))


def _add_source(add):
    """Declare the arguments about clips, classes, groups and splits."""
    add(
        "folder",
        nargs="?",
        metavar="FOLDER",
        help="recordings: a sub-folder per class, or a metadata.csv with the columns filename, "
        "label and optionally group and split; with --data, the folder of that set",
    )
    add("--data", choices=SETS, help="a public data set; fsdd and esc10 are downloaded")
    add(
        "--demo",
        action="store_true",
        help=f"{DEMO_CLIPS} synthetic instrument notes, with 2 draws: a quick demonstration",
    )
    add("--metadata", metavar="CSV", help="the table, if it is not FOLDER/metadata.csv")
    add(
        "--groups",
        metavar="COLUMN|LEVEL",
        help="what must not be in training and test at once (speaker, place, recording): a column "
        "of the table, or the folder level below the class, 1 for class/speaker/take.wav",
    )
    add(
        "--cv",
        metavar="N",
        type=at_least(2),
        help="splits, unless the table has some (default: 5, fewer if a class is small)",
    )
    add(
        "--skip-bad",
        action="store_true",
        help="leave out clips that cannot be used; left_out.txt lists them with the reasons",
    )


def _add_work(add):
    """Declare the arguments about extractors, classifiers and computation."""
    add(
        "--extractors",
        nargs="+",
        metavar="NAME",
        type=one_of(EXTRACTORS),
        help=f"among {', '.join(map(plain, EXTRACTORS))} (default: all)",
    )
    add("--quick", action="store_true", help=f"only {', '.join(map(plain, QUICK))}")
    add(
        "--trained",
        nargs="?",
        metavar="MINUTES",
        type=at_least(1),
        const=2,
        help="also the networks among them trained on the labels of each training part, in "
        "MINUTES at most for each part and draw (default: %(const)s)",
    )
    add(
        "--classifiers",
        nargs="+",
        metavar="NAME",
        type=one_of(CLASSIFIERS),
        default=CLASSIFIERS,
        help="svm, elm or both (default)",
    )
    add("--draws", metavar="N", type=at_least(1), help="random draws (default: 3; 2 with --demo)")
    add("--seed", metavar="N", type=int, default=0, help="of splits and draws (default: 0)")
    add(
        "--sample-rate",
        metavar="HZ",
        type=at_least(1000),
        default=16000,
        help="rate that files are resampled to (default: 16000)",
    )
    add("--n-jobs", metavar="N", type=int, help="processes and threads (default: 1, torch's own)")
    add("--fresh", action="store_true", help="use no result of an earlier run")


def _checked(command, args):
    """Run the command; errors that the user can correct are one line instead of a traceback."""
    if bool(args.demo) + bool(args.data or args.folder) != 1:
        command.error("name a FOLDER, a set with --data, or --demo")
    if (args.demo or args.data) and (args.metadata or args.groups or args.cv):
        command.error("--metadata, --groups and --cv are for a FOLDER; this set has its splits")
    if args.quick and args.extractors:
        command.error("--quick chooses the extractors; leave out --quick or --extractors")
    args.draws = args.draws or (2 if args.demo else 3)
    args.extractors = args.extractors or (QUICK if args.quick else EXTRACTORS)
    try:
        return _run(args)
    except (ImportError, OSError, ValueError) as error:
        print(f"\nskaudio compare: {error}", file=sys.stderr)
        return 1


def _run(args):
    """Load, compare, and write the results."""
    begin, status = time.perf_counter(), Status()
    status.show("loading")
    import joblib

    from ..compare import table_lines

    name, sounds = _load(args)
    sounds, hours, advice, left_out = _inspected(args, sounds, status)
    labels = [sounds.target_names[label] for label in sounds.target]
    extractors, classifiers = _chosen(args)
    status.clear()
    print(_heading(args, name, sounds, hours))
    for text in advice:
        print(f"warning: {text}")
    print(flush=True)
    _write_left_out(Path(args.out), left_out)

    rows, n_rows = [], len(extractors) * len(classifiers)
    layout = {
        "width": max(9, *map(len, extractors)),
        "limit": shutil.get_terminal_size().columns if sys.stdout.isatty() else None,
    }
    try:
        with joblib.parallel_config(n_jobs=args.n_jobs):
            running = _rows(args, name, sounds, labels, extractors, classifiers, rows, status)
            for line in table_lines(running, **layout):
                print(line, flush=True)
            print(_chance_line(rows[0], **layout) + "\n")
            _finish(args, sounds, labels, rows, extractors, classifiers, status)
    except KeyboardInterrupt:
        status.clear()
        if rows:
            where = Path(args.out) / "compare.json"
            print(
                f"\n{len(rows)} of {n_rows} rows are in {where}; run the same command to continue",
                file=sys.stderr,
            )
        raise
    print(f"{time.perf_counter() - begin:.0f} seconds in all")
    return 0


def _write_left_out(out, left_out):
    """Make the folder of the results, and write the list of the clips left out, if any."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "left_out.txt"
    if left_out:
        path.write_text("\n".join(left_out) + "\n", encoding="utf-8")
    else:
        path.unlink(missing_ok=True)  # the list of an earlier run


def _rows(args, name, sounds, labels, extractors, classifiers, rows, status):
    """Yield the rows; before each is yielded, it is added to `rows` and to the files."""
    from ..compare import compare_extractors, write_rows

    out = Path(args.out)
    path = out / "compare.json"
    finished = [] if args.fresh else _earlier(path)
    n_rows = len(extractors) * len(classifiers)
    for row in compare_extractors(
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
    ):
        rows.append(row)
        # rows of other configurations follow those of this one; they are read again each time,
        # since another process may have added some
        others = [] if args.fresh and len(rows) == 1 else _earlier(path)
        known = {row.configuration for row in rows}
        write_rows([*rows, *(row for row in others if row.configuration not in known)], path)
        write_rows(rows, out / "compare.csv")
        status.clear()
        yield row


def _earlier(path):
    """Return the rows of earlier runs, or of one that is running at the same time."""
    from ..compare import read_rows

    return [row for row in read_rows(path) if row.confusion] if path.exists() else []


def _load(args):
    """Return the name of the set and the set."""
    from .. import datasets

    if args.demo:
        return "make_sounds", datasets.make_sounds(DEMO_CLIPS, random_state=args.seed)
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
    """Return the set without unusable clips, its hours, warnings, and a line per clip left out."""
    from ..compare._advice import inspect, usable, warnings_about

    if args.demo:
        return sounds, sum(map(len, sounds.data)) / sounds.sample_rate / 3600, [], []
    status.show(f"reading {len(sounds.data)} clips")
    clips, errors = inspect(sounds.data)
    bad = [f"{os.path.abspath(sounds.data[error.index])} {error.problem}" for error in errors]
    listed = "\n".join(f"  {line}" for line in bad[:20])
    listed += f"\n  and {len(bad) - 20} more" if len(bad) > 20 else ""
    if bad and not (args.skip_bad and clips):
        raise ValueError(
            f"{len(bad)} of {len(sounds.data)} clips cannot be used:\n{listed}\n"
            "Remove or repair them" + (", or pass --skip-bad to leave them out." if clips else ".")
        )
    sounds, advice = usable(sounds, errors), []
    if bad:
        where = Path(args.out) / "left_out.txt"
        advice = [f"{len(bad)} clips that cannot be used are left out, see {where}:\n{listed}"]
    rates, seconds = zip(*clips, strict=True)
    advice += warnings_about(sounds, rates, folder=_class_folders(args))
    return sounds, sum(seconds) / 3600, advice, bad


def _class_folders(args):
    """Return the folder whose sub-folders are the classes, None if a table or a set names them."""
    folder = Path(args.folder or "").expanduser()
    return None if args.data or args.metadata or (folder / "metadata.csv").is_file() else folder


def _chosen(args):
    """Return the selected extractors and classifiers by name."""
    from ..compare import TunedELM, TunedSVM, standard_extractors, trained_networks

    every = standard_extractors(sample_rate=args.sample_rate)
    chosen = {name: every[name] for name in args.extractors}
    if args.trained:
        twins = trained_networks(sample_rate=args.sample_rate, max_minutes=args.trained)
        names = (f"trained {name}" for name in args.extractors)
        chosen |= {name: twins[name] for name in names if name in twins}
    machines = {"svm": TunedSVM, "elm": TunedELM}
    return (
        chosen,
        {name.upper(): machines[name]() for name in args.classifiers},
    )


def _heading(args, name, sounds, hours):
    apart = "" if sounds.groups is None else " with no group on both sides"
    what = "synthetic notes" if args.demo else f"clips in {name}"
    draws = f"mean ± std over {args.draws} random draws" if args.draws > 1 else "one random draw"
    return (
        f"{len(sounds.data)} {what}, {len(sounds.target_names)} classes, {hours:.2f} h, "
        f"{len(sounds.splits)} splits{apart}\n"
        f"Settings of the classifiers chosen inside each training part; {draws}"
    )


def _chance_line(row, width, limit):
    """Line of the table with the chance levels of both scores."""
    from ..compare._winner import chance_level

    balanced = chance_level(row, "balanced_accuracy")
    return f"{'(chance)':{width}}   {'':10}   {row.chance:<13.3f}  {balanced:.3f}"[:limit]


def _finish(args, sounds, labels, rows, extractors, classifiers, status):
    """Draw the pictures, save the winner, and print where everything is."""
    from ..compare._report import save_pictures, save_winner
    from ..compare._winner import choose_winner

    out = Path(args.out)
    best, better = choose_winner(rows)
    for line in _verdict(rows, best, better):
        print(line)
    print(f"table:     {out / 'compare.csv'}, {out / 'compare.json'}")
    status.show("drawing")
    pictures = save_pictures(rows, best, sounds.target_names, out)
    status.clear()
    print(f"pictures:  {pictures}")
    path = out / "winner.skops"
    if not better:
        earlier = f"; {path} is from an earlier run" if path.exists() else ""
        print(f"saved:     no winner{earlier}\n")
        return
    status.show(f"learning {best.extractor} + {best.classifier} from all clips")
    saved = save_winner(
        path,
        extractors[best.extractor],
        classifiers[best.classifier],
        sounds.data,
        labels,
        groups=sounds.groups,
        random_state=args.seed,
        example=_example(args, sounds),
    )
    status.clear()
    print(f"{saved}\n")


def _example(args, sounds):
    """Return a file to try the winner on; for the demo, write a note that it was not trained on."""
    if not args.demo:
        return str(sounds.data[0])
    import soundfile

    from ..datasets import make_sounds

    path = Path(args.out) / "new_note.wav"
    note = make_sounds(16, sample_rate=sounds.sample_rate, random_state=args.seed + 1).data[0]
    soundfile.write(path, note, sounds.sample_rate)
    return str(path)


def _verdict(rows, best, better):
    """Lines that name the winner, or say that there is none, and by which score."""
    from ..compare._winner import chance_level, winning_score

    score = winning_score(rows)
    name, value = f"{best.extractor} + {best.classifier}", getattr(best, score)
    score_name = score.replace("_", " ")
    if better:
        yield f"winner:    {name}, {score_name} {value:.3f}"
    else:
        yield "winner:    none, no extractor is better than chance"
        yield (
            f"           (the best, {name}, has {score_name} {value:.3f}; chance is "
            f"{chance_level(best, score):.3f})"
        )
    if score == "balanced_accuracy":
        yield "           (by balanced accuracy, since the classes are of unequal size)"
    if better and len(rows) > 1:
        yield f"           (the best of {len(rows)}: expect a little less on new recordings)"
