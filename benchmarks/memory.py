"""Memory that extractors need beside their input and output.

    python benchmarks/memory.py

64 clips of 30 s (22.05 kHz, eight files of noise, each used eight times) are read, resampled and
turned into features, by each extractor at its defaults, in a process of its own with one thread.
For comparison there are a loop over librosa, and the default network with all clips in one batch,
as in plain torch code. The extreme learning machine, of 2000 hidden units, learns from 60,000 rows
of 784 columns.

Memory is the highest resident memory, minus that of the prepared process and that of the features
(see `_fresh`). The bound is that of batch_size=None, on clips that are not very long.
"""

import argparse
import tempfile
from pathlib import Path

from _fresh import measure, write_noise
from _rows import write_rows
from compare import about

from skaudio.compare import random_networks
from skaudio.plotting._style import COLOURS, new_panels

COLUMNS = ("name", "seconds", "megabytes")
BOUND = 1000  # MB
SECONDS, N_CLIPS = 30, 64
UNTRAINED = {"max_epochs": 0, "random_state": 0}
LIBROSA, ONE_BATCH = "librosa MFCC", "vgg, all clips in one batch"


def main():
    """Measure, and write table, rows and picture."""
    args = _arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        jobs = {name: job for name, job in _jobs(folder, args.quick).items() if args.only in name}
        for k in range(8):
            write_noise(Path(folder, f"{k}.wav"), 1 if args.quick else SECONDS, 22050, seed=k)
        for name, job in jobs.items():
            seconds, n_bytes = measure(**job)
            rows.append(dict(zip(COLUMNS, (name, seconds, n_bytes / 1e6), strict=True)))
            print(f"{name}: {seconds:.2f} s, {n_bytes / 1e6:.0f} MB", flush=True)
    write_rows(args.out / "memory.csv", COLUMNS, rows)
    text = "\n".join([*about(), "", *_table(rows)]) + "\n"
    (args.out / "memory.md").write_text(text, encoding="utf-8")
    _plot(rows).savefig(args.out / "memory.png", dpi=120)


def _arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="part of the names of what to measure")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try the script")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


def _jobs(folder, quick):
    """Return the arguments of `measure` for each row, by its name."""
    extractors = {"MFCC": {"extractor": "MFCCTransformer"}}
    for name, cnn in random_networks().items():
        extractors[name] = {"extractor": type(cnn).__name__, "design": cnn.design,
                            "kernel": cnn.kernel, "random_state": 0}  # fmt: skip
    for size in ("tiny", "large"):
        wav2vec = {"extractor": "Wav2VecTransformer", "size": size, **UNTRAINED}
        extractors[f"wav2vec, {size}"] = wav2vec
    extractors["vq-wav2vec, tiny"] = {"extractor": "VQTransformer", "quantizer": "gumbel",
                                    **UNTRAINED}  # fmt: skip
    clips = {"job": "extraction", "folder": folder, "n_clips": N_CLIPS}
    jobs = {name: clips | extractor for name, extractor in extractors.items()}
    n_samples, n_features, n_hidden = (300, 20, 10) if quick else (60_000, 784, 2000)
    jobs["extreme learning machine"] = {"job": "learning", "n_samples": n_samples,
                                        "n_features": n_features, "n_hidden": n_hidden}  # fmt: skip
    jobs[LIBROSA] = clips | {"extractor": "LibrosaMFCC"}
    jobs[ONE_BATCH] = jobs["vgg"] | {"batch_size": SECONDS * N_CLIPS}
    return jobs


def _table(rows):
    """Return the lines of the table."""
    yield "| | MB | seconds |"
    yield "|---|---:|---:|"
    for row in rows:
        yield f"| {row['name']} | {row['megabytes']:.0f} | {row['seconds']:.1f} |"


def _plot(rows):
    """Draw a bar for each row, and the bound."""
    (ax,) = new_panels(None, 1, most=1, width=6.5, height=1.0 + 0.28 * len(rows))
    names = [row["name"] for row in rows]
    colours = [COLOURS[1 if name in (LIBROSA, ONE_BATCH) else 0] for name in names]
    bars = ax.barh(names, [row["megabytes"] for row in rows], color=colours)
    ax.bar_label(bars, fmt="{:.0f}", padding=3, fontsize=8)
    ax.axvline(BOUND, color=COLOURS[3], linestyle="--", label="bound of batch_size=None")
    ax.set(xlabel="MB beside clips and features", title=f"{N_CLIPS} clips of {SECONDS} s")
    ax.invert_yaxis()
    ax.margins(x=0.1)
    ax.legend(fontsize=8)
    return ax.figure


if __name__ == "__main__":
    main()
