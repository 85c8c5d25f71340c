"""What a WaveNet's probability of sound is worth, on the six open sets.

    SKAUDIO_DATA=path/to/the/sets python benchmarks/density.py

bits      bits per sample of unheard clips: split 0 of the set, which has other speakers,
          recordings or artists; of fsdd also other recordings of known speakers. All code 8 bits
          of mu-law, at the rate of the files, at most 16 kHz.
          FLAC codes each clip at its highest compression, the header of the file not counted; the
          linear predictor has order 32, and codes the classes themselves by the mass around its
          prediction. Of its forms (in amplitude or companded, coefficients of the set or written
          in each block, Laplace, Gaussian or logistic) the one that is best in training is taken.
features  the same networks, trained without labels, with `SVC(C=8)` on the same split.
told      fsdd, conditions="label": digits of the speaker left out, and speakers, by Bayes' rule.
anomaly   esc10: each class held out of training; areas under the curve of what tells its clips
          from unheard ones of the other classes.
sampled   fsdd: digits made by a network conditioned on labels, which has heard one speaker,
          recognised by a support vector machine on MFCC that was trained on real ones of all, and
          their log-spectral distance to the nearest real one of the training: 0 for a copy, and
          large for noise.

The tiny WaveNet is trained with the defaults of the extractor but for the seconds of sound that it
hears, each time in one process with one thread. Jobs in the result file are not repeated; --fresh
repeats everything.
"""

import argparse
import csv
import os
from functools import partial
from itertools import groupby
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import _density_jobs
import _sets
import numpy as np
import torch
from _probes import MARKS
from compare import about
from joblib import Parallel, delayed

from skaudio.plotting._style import COLOURS, new_panels

COLUMNS = ("job", "task", "curve", "x", "system", "measure", "value")
ESC10 = (
    "baby_cry",
    "chainsaw",
    "clock_tick",
    "dog_bark",
    "fire_crackling",
    "helicopter",
    "person_sneeze",
    "rain",
    "rooster",
    "sea_waves",
)
BITS_OF = ("fsdd, known speakers", *_sets.SETS)
LINEAR = ("linear, one scale", "linear, scale that follows")


def main():
    """Train, measure, and write table, rows and pictures."""
    args = _arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "density.csv"
    rows = {}
    if path.exists() and not args.fresh:
        with path.open(newline="", encoding="utf-8") as file:
            rows = {job: [*some] for job, some in groupby(csv.DictReader(file), lambda r: r["job"])}
    jobs = {
        name: job for name, job in _jobs(args).items() if name not in rows and args.only in name
    }
    running = Parallel(args.n_jobs, return_as="generator_unordered")(
        delayed(_run)(name, job) for name, job in jobs.items()
    )
    for name, found in running:
        rows[name] = found
        print(f"{name}: " + ", ".join(_said(row) for row in found if not row["curve"]), flush=True)
        _write(rows, path)
    every = [row for some in rows.values() for row in some]
    head = ["# What a WaveNet's probability of sound is worth", "", *about(), ""]
    head += ["Made by `python benchmarks/density.py`, which tells what the rows are.", ""]
    text = "\n".join([*head, *_report(every)]) + "\n"
    print(text)
    (args.out / "density.md").write_text(text, encoding="utf-8")
    _plot(every).savefig(args.out / "density.png", dpi=120)


def _arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=800, help="of sound heard in a training")
    parser.add_argument("--anomaly-seconds", type=float, default=600, help="in those of anomalies")
    parser.add_argument("--only", default="", help="part of the name of what is to be done")
    parser.add_argument("--n-jobs", type=int, default=2, help="processes")
    parser.add_argument("--fresh", action="store_true", help="take no row from an earlier run")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


def _jobs(args):
    """Return all jobs by name."""
    jobs = {f"bits {name}: rivals": partial(_density_jobs.rivals, name) for name in BITS_OF}
    for name in BITS_OF:
        jobs[f"bits {name}: WaveNet"] = partial(_density_jobs.of_set, name, args.seconds)
    jobs["sampled digits"] = partial(
        _density_jobs.sampled, args.seconds, args.out / "sampled_digits"
    )
    for label in ESC10:
        jobs[f"anomaly {label}"] = partial(_density_jobs.anomaly, label, args.anomaly_seconds)
    jobs["told speakers"] = partial(_density_jobs.speakers, args.seconds)
    for fold in range(6):
        jobs[f"told digits: {fold}"] = partial(_density_jobs.digits, fold, args.seconds)
    return jobs


def _run(name, job):
    """Compute the rows of a job, in a process of its own."""
    torch.set_num_threads(1)
    task = name.partition(":")[0]
    given = {"job": name, "task": task, "curve": "", "x": "", "measure": "bits"}
    return name, [{**given, **row} for row in job()]


def _said(row):
    value = row["value"]
    return f"{row['system']} {row['measure']} " + (
        value if isinstance(value, str) else f"{value:.3f}"
    )


def _write(rows, path):
    """Replace the file of rows."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(row for some in rows.values() for row in some)


def _found(rows, kind, measure):
    """Values by (system, rest of the task's name), as lists, for one kind of task."""
    found = {}
    for row in rows:
        first, _, rest = row["task"].partition(" ")
        if (first, row["measure"], row["curve"]) == (kind, measure, ""):
            found.setdefault((row["system"], rest), []).append(float(row["value"]))
    return found


def _cell(values, digits=3):
    """Mean, with the range if there are several."""
    if not values:
        return ""
    spread = f" ({min(values):.{digits}f} to {max(values):.{digits}f})" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{spread}"


def _grid(title, found, digits=3):
    """Lines of a table: systems down, tasks across; none if nothing was found."""
    if not found:
        return
    tasks = [*dict.fromkeys(task for _, task in found)]
    yield f"| {title} | {' | '.join(tasks)} |"
    yield "|---|" + "---|" * len(tasks)
    for system in dict.fromkeys(system for system, _ in found):
        cells = (_cell(found.get((system, task), []), digits) for task in tasks)
        yield f"| {system} | {' | '.join(cells)} |"
    yield ""


def _report(rows):
    """Return the lines of all tables, and what became of the targets."""
    bits = _found(rows, "bits", "bits")
    yield from _grid("bits per sample", bits, 2)
    for rival in ("FLAC", *LINEAR):
        names = [name for system, name in bits if system == rival and ("WaveNet", name) in bits]
        below = sum(bits["WaveNet", name][0] < bits[rival, name][0] for name in names)
        yield f"- WaveNet is below {rival} on {below} of {len(names)}."
    yield "- FLAC of 8 linear bits codes other symbols, soft sounds with fewer of them: no rival."
    for row in rows:
        if row["measure"] == "form":
            yield f"- {row['task'].partition(' ')[2]}, {row['system']}: {row['value']}"
    yield ""
    yield from _grid("accuracy, SVM on features", _found(rows, "bits", "accuracy"))
    yield from _grid("accuracy, speaker left out or recording", _found(rows, "told", "accuracy"))
    anomalies = _found(rows, "anomaly", "AUC")
    yield from _grid("AUC of the class held out", anomalies, 2)
    for system in dict.fromkeys(system for system, _ in anomalies):
        rival = {task: v for (s, task), v in anomalies.items() if s == "IsolationForest, MFCC-120"}
        ours = {task: v for (s, task), v in anomalies.items() if s == system}
        above = sum(ours[task][0] > rival[task][0] for task in ours)
        mean = f"mean AUC {np.mean([*ours.values()]):.3f}"
        yield f"- {system}: {mean}; above IsolationForest on MFCC in {above} of {len(ours)}"
    yield ""
    yield from _grid("sampled", _found(rows, "sampled", "recognised"), 2)
    yield from _grid("distance, median", _found(rows, "sampled", "dB to the nearest real digit"), 1)
    minutes = [float(r["value"]) for r in rows if r["measure"] == "minutes of one core"]
    if minutes:
        yield f"Trainings took {min(minutes):.1f} to {max(minutes):.1f} minutes of one core each,"
        yield f"{sum(minutes):.0f} in all."


def _plot(rows):
    """Draw bits against minutes of one core, a panel for each set."""
    axes = new_panels(None, len(BITS_OF), most=4, width=3.8, height=3.0)
    levels = {key: np.mean(v) for key, v in _found(rows, "bits", "bits").items()}
    for ax, name in zip(axes, BITS_OF, strict=True):
        task = f"bits {name}"
        points = sorted(
            (float(r["x"]), float(r["value"])) for r in rows if r["task"] == task and r["curve"]
        )
        if points:
            ax.plot(*zip(*points, strict=True), "o-", color=COLOURS[0], label="WaveNet")
        for k, system in enumerate(("FLAC", *LINEAR), start=1):
            if (system, name) in levels:
                level = levels[system, name]
                ax.axhline(level, color=COLOURS[k], linestyle="--", label=system)
        ax.set(title=name, xscale="log", xlabel="minutes of one core", ylabel="bits per sample")
        ax.set_xticks(MARKS, [f"{mark:g}" for mark in MARKS])
        ax.minorticks_off()
        ax.spines[["top", "right"]].set_visible(False)
    drawn = [ax for ax in axes if ax.lines]
    if drawn:
        drawn[0].legend(fontsize=8)
    return axes[0].figure


if __name__ == "__main__":
    main()
