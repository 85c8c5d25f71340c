"""What wav2vec, vq-wav2vec and PASE learn from unlabelled speech, on two open sets.

    SKAUDIO_DATA=path/to/the/sets python benchmarks/selfsupervised.py

phones   emodb_2s: the 30 phones with at least 100 labelled segments, classified by logistic
         regression (C=0.1) from the frame at the middle of a segment. Speakers 03 and 08 are
         never trained on.
digits   fsdd, leave one speaker out: `SVC(C=8)` on pooled features.
emotion  emodb_2s, five folds of speakers, in the same way: PASE alone, also where the test clips
         are noisy or reverberant and the classifier has only heard clean ones.

Networks are trained on the clips of the training part only, without labels, with the defaults of
the extractors except for 60 negatives and the number of updates. Each training is a process with
one thread, and two run at a time: 20 minutes of such a training are 10 minutes of two cores.
Trainings in the result file are not repeated; --fresh repeats everything.
"""

import argparse
import csv
import os
from functools import partial
from itertools import groupby
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import _sets
import _teachers
import numpy as np
import torch
from _probes import MARKS, RATE, Phones, accuracy, fit
from compare import about
from joblib import Parallel, delayed

from skaudio import MFCCTransformer, VQTransformer, Wav2VecTransformer, read_audio
from skaudio.networks.vq import perplexity
from skaudio.plotting._style import COLOURS, new_panels
from skaudio.training import CropBatch
from skaudio.training.contrastive import Prediction

N_CODES = 64
N_NEGATIVES = 60  # teach more in the same time than the usual ten, which evaluation uses
PARTS = (8, 3)  # the curve over hours: an eighth and a third of the clips
POOLING = ("mean_std", "pyramid")
QUANTIZERS = ("gumbel", "kmeans", "ema")
COLUMNS = ("job", "task", "curve", "x", "features", "measure", "value")


def main():
    """Train, probe, and write table, rows and picture."""
    args = _arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "selfsupervised.csv"
    rows = {}
    if path.exists() and not args.fresh:
        with path.open(newline="", encoding="utf-8") as file:
            rows = {job: [*some] for job, some in groupby(csv.DictReader(file), lambda r: r["job"])}
    jobs = {
        name: job
        for name, job in _jobs(args.updates, args.pase).items()
        if name not in rows and args.only in name
    }
    running = Parallel(n_jobs=2, return_as="generator_unordered")(
        delayed(_run)(name, job) for name, job in jobs.items()
    )
    for name, found in running:
        rows[name] = found
        print(f"{name}: " + ", ".join(_said(row) for row in found if not row["curve"]), flush=True)
        _write(rows, path)
    every = [row for some in rows.values() for row in some]
    text = "\n".join([*about(), "", *_table(every)]) + "\n"
    print(text)
    (args.out / "selfsupervised.md").write_text(text, encoding="utf-8")
    _plot(every).savefig(args.out / "selfsupervised.png", dpi=120)
    _teachers.plot(every).savefig(args.out / "teachers.png", dpi=120)


def _arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--updates", type=int, nargs=2, default=(4000, 2500),
                        metavar=("PHONES", "DIGITS"), help="of each training")  # fmt: skip
    parser.add_argument("--pase", type=int, nargs=4, default=(1400, 500, 400, 400),
                        metavar=("PHONES", "FEWER", "DIGITS", "EMOTION"),
                        help="updates of PASE; FEWER: where a teacher is left out")  # fmt: skip
    parser.add_argument("--only", default="", help="part of the name of what is to be trained")
    parser.add_argument("--fresh", action="store_true", help="take no row from an earlier run")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


def _jobs(updates, pase):
    """Return all jobs by name."""
    phones, digits = updates
    jobs = {"phones wav2vec": partial(_phones_trained, phones)}
    jobs["phones baselines"] = _phones_baselines
    jobs["digits baselines"] = _digits_baselines
    for fold in range(6):
        jobs[f"digits wav2vec {fold}"] = partial(_digits_trained, digits, fold)
    for quantizer in QUANTIZERS:
        jobs[f"phones vq {quantizer}"] = partial(_phones_quantized, phones // 2, quantizer)
    for fold in range(6):
        jobs[f"digits vq {fold}"] = partial(_digits_quantized, digits, fold)
    for part in PARTS:
        jobs[f"phones wav2vec 1/{part}"] = partial(_phones_trained, phones, part)
    return jobs | _teachers.jobs(*pase)


def _run(name, job):
    """Compute the rows of a job, in a process of its own."""
    torch.set_num_threads(1)
    rows = []
    for row in job():
        row = {"curve": "", "x": "", "measure": "accuracy", **row}
        rows.append({"job": name, "task": name.split()[0], **row})
    return name, rows


def _said(row):
    return f"{row['features']} {row['measure']} {row['value']:.3f}"


def _phones_baselines():
    phones = Phones()
    mfcc = MFCCTransformer(sample_rate=RATE, n_fft=512, hop_length=160, n_deltas=0)
    frames = mfcc.fit(phones.clips).transform_frames(phones.clips)
    yield {"features": "MFCC frame", "value": phones.accuracy(frames, 0.0)}
    yield {"features": "MFCC ± 5 frames", "value": phones.accuracy(frames, 0.0, around=5)}
    untrained = Wav2VecTransformer(max_epochs=0, random_state=0).fit(phones.training)
    for features in ("z", "c", "cz"):
        score = phones.of_network(untrained, features)
        yield {"features": f"untrained {features}", "value": score}


def _phones_trained(updates, part=1):
    phones = Phones()
    clips = np.random.default_rng(0).permutation(phones.training)[::part]
    hours = sum(len(read_audio(clip, RATE)) for clip in clips) / RATE / 3600
    wav2vec, trained = fit(
        Wav2VecTransformer,
        clips,
        updates,
        MARKS if part == 1 else (),
        n_negatives=N_NEGATIVES,
    )
    minutes = trained.minutes()
    curve = {"curve": "hours", "x": hours}
    yield {**curve, "features": "trained c", "value": phones.of_network(wav2vec, "c")}
    yield {**curve, "features": "c", "measure": "told apart", "value": _told(wav2vec, phones.test)}
    if part > 1:
        return
    for features in ("z", "c", "cz"):
        score = phones.of_network(wav2vec, features)
        yield {"features": f"trained {features}", "value": score}
    score = phones.of_network(wav2vec, "c", later=3)
    yield {"features": "trained c, 30 ms later", "value": score}
    yield {"features": "c", "measure": "minutes of one core", "value": minutes}
    yield {"features": "c", "measure": "told apart", "value": _told(wav2vec, phones.test)}
    for minutes, weights in trained.states:
        curve = {"curve": "minutes", "x": minutes}
        wav2vec.weights_ = weights
        yield {**curve, "features": "c", "value": phones.of_network(wav2vec, "c")}
        score = _told(wav2vec, phones.test)
        yield {**curve, "features": "c", "measure": "told apart", "value": score}


def _told(wav2vec, clips):
    """Share of the futures that are told from ten other moments, in clips of unheard speakers."""
    task = Prediction(wav2vec._ready(None).network, 10, "infonce")
    task.generator.manual_seed(0)
    waves = (torch.from_numpy(read_audio(clip, RATE))[None] for clip in clips)
    with torch.inference_mode():
        outcomes = [task(CropBatch(wave, torch.ones(1), torch.zeros(1))) for wave in waves]
    return sum(int(o.scores["accuracy"]) for o in outcomes) / sum(o.n for o in outcomes)


def _phones_quantized(updates, quantizer):
    phones = Phones()
    words, trained = fit(
        VQTransformer,
        phones.training,
        updates,
        MARKS,
        quantizer=quantizer,
        n_codes=N_CODES,
        n_negatives=N_NEGATIVES,
    )
    for output in ("embedding", "context"):
        words.set_params(output=output)
        yield {"features": f"{quantizer} {output}", "value": phones.of_network(words)}
    for minutes, weights in [*trained.states, (trained.minutes(), words.weights_)]:
        words.weights_ = weights
        codes = np.concatenate(words.encode(phones.test))
        counts = np.stack([np.bincount(group, minlength=N_CODES) for group in codes.T])
        in_use = float((counts > 0).mean())
        among = perplexity(torch.from_numpy(counts / len(codes))).mean().item() / N_CODES
        curve = {"curve": "minutes", "x": minutes, "features": quantizer}
        yield {**curve, "measure": "codes in use", "value": in_use}
        yield {**curve, "measure": "perplexity", "value": among}
    yield {"features": quantizer, "measure": "codes in use", "value": in_use}
    yield {"features": quantizer, "measure": "perplexity", "value": among}


def _digits_baselines():
    sounds = _sets.load("fsdd")
    mfcc = MFCCTransformer(sample_rate=sounds.sample_rate).fit_transform(sounds.data)
    untrained = Wav2VecTransformer(features="cz", pooling=POOLING, max_epochs=0, random_state=0)
    untrained.fit(sounds.data)
    parts = _parts(untrained, sounds)
    for fold in range(6):
        yield {"features": "MFCC-120", "value": accuracy(sounds, fold, mfcc)}
        for name, features in parts.items():
            value = accuracy(sounds, fold, features)
            yield {"features": f"untrained {name}", "value": value}


def _parts(extractor, sounds):
    """Features c, z and both of them, from one forward pass."""
    features = extractor.transform(sounds.data)
    names = extractor.get_feature_names_out()
    usual = np.array([name.endswith(("_mean", "_std")) for name in names])
    of_z = np.array([name.startswith("z") for name in names])
    return {
        "z": features[:, of_z & usual],
        "c": features[:, ~of_z & usual],
        "cz": features[:, usual],
        "cz with a pyramid": features,
    }


def _digits_network(updates, fold, kind, **params):
    """Train on five speakers, joining words of the same speaker only; none is held out."""
    sounds = _sets.load("fsdd")
    train = sounds.splits[fold][0]
    clips, speakers = [sounds.data[i] for i in train], sounds.groups[train]
    params |= {"groups": speakers, "validation_fraction": 0.0, "n_negatives": N_NEGATIVES}
    return sounds, *fit(kind, clips, updates, **params)


def _digits_trained(updates, fold):
    sounds, wav2vec, trained = _digits_network(
        updates, fold, Wav2VecTransformer, features="cz", pooling=POOLING
    )
    yield {"features": "c", "measure": "minutes of one core", "value": trained.minutes()}
    score = _told(wav2vec, [sounds.data[i] for i in sounds.splits[fold][1]])
    yield {"features": "c", "measure": "told apart", "value": score}
    for name, features in _parts(wav2vec, sounds).items():
        yield {"features": f"trained {name}", "value": accuracy(sounds, fold, features)}


def _digits_quantized(updates, fold):
    sounds, words, _ = _digits_network(
        updates, fold, VQTransformer, quantizer="ema", n_codes=N_CODES
    )
    for output in ("embedding", "context", "histogram"):
        words.set_params(output=output)
        value = accuracy(sounds, fold, words.transform(sounds.data))
        yield {"features": f"vq {output}", "value": value}
    share = float(words.perplexity_.mean() / N_CODES)
    yield {"features": "vq", "measure": "perplexity", "value": share}


def _write(rows, path):
    """Replace the file of rows."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(row for some in rows.values() for row in some)


def _table(rows):
    """Return the lines of a table: means over the folds."""
    for task, title in (
        ("phones", "phones, unheard speakers"),
        ("digits", "digits, one speaker out"),
        ("emotion", "emotions, groups of speakers out"),
    ):
        chosen = [row for row in rows if row["task"] == task and not row["curve"]]
        yield from (f"| {title} | |", "|---|---|")
        for key in dict.fromkeys((row["features"], row["measure"]) for row in chosen):
            values = [float(r["value"]) for r in chosen if (r["features"], r["measure"]) == key]
            name = ": ".join(key).removesuffix(": accuracy")
            spread = f" ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else ""
            yield f"| {name} | {np.mean(values):.3f}{spread} |"
        yield ""


def _plot(rows):
    """Draw the four curves."""
    axes = new_panels(None, 4, most=2, width=4.5, height=3.2)
    panels = (
        ("minutes", "minutes of one core", "accuracy", "phones told apart by one frame"),
        ("hours", "hours of unlabelled speech", "accuracy", "phones told apart by one frame"),
        ("minutes", "minutes of one core", "told apart", "futures told from ten other moments"),
        ("minutes", "minutes of one core", "perplexity", f"perplexity / {N_CODES} codes"),
    )
    for ax, (curve, x_name, measure, title) in zip(axes, panels, strict=True):
        lines = {}
        for row in rows:
            if (row["curve"], row["measure"]) == (curve, measure):
                lines.setdefault(row["features"], []).append((float(row["x"]), float(row["value"])))
        for k, (features, points) in enumerate(lines.items()):
            label = {"c": "wav2vec c"}.get(features, features)
            ax.plot(*zip(*sorted(points), strict=True), "o-", color=COLOURS[k], label=label)
        ax.set(xlabel=x_name, title=title, xscale="log")
        ticks = MARKS if curve == "minutes" else (0.03, 0.1, 0.25)
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
        if measure == "accuracy":
            levels = {row["features"]: row["value"] for row in rows if row["task"] == "phones"}
            for k, name in enumerate(("MFCC ± 5 frames", "MFCC frame", "untrained c"), start=1):
                if name in levels:
                    ax.axhline(float(levels[name]), color=COLOURS[k], linestyle="--", label=name)
        if measure == "told apart":
            ax.axhline(1 / 11, color=COLOURS[-1], linestyle="--", label="chance")
        if measure == "perplexity":
            ax.set_ylim(0, 1)
        ax.legend(fontsize=8)
    return axes[0].figure


if __name__ == "__main__":
    main()
