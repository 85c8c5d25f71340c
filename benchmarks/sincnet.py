"""Does SincNet do what its paper says? Speakers, by texts and digits that training never heard.

    SKAUDIO_DATA=path/to/the/sets python benchmarks/sincnet.py

On EmoDB (10 speakers) the texts of the test clips are in no training clip, on FSDD (6 speakers)
the digits. SincNet and the same network with an ordinary first layer are trained for so many
minutes of one core, with several seeds, and tested as they learn. Beside them stand their d-vectors
in a support vector machine, and those of MFCCs and of the default random network. Rows of an
earlier run are not computed again; --fresh computes everything again.
"""

import argparse
import csv
from pathlib import Path

import _sets
import numpy as np
import torch
from compare import about
from joblib import Parallel, delayed
from skorch.callbacks import Callback
from threadpoolctl import threadpool_limits

from skaudio import MFCCTransformer, RandomCNNTransformer, SincNetTransformer, read_audio
from skaudio.compare import standard_svm
from skaudio.plotting._style import COLOURS, new_panels

# rate in Hz, and what of a clip's name nobody hears before the test
SETS = {"emodb_2s": (16000, ("a07", "b09", "b10")), "fsdd": (8000, ("7", "8", "9"))}
FIRST = {"SincNet": "sinc", "ordinary layer": "conv"}
MFCC, VGG, D_VECTORS = "MFCC + SVM", "vgg (default) + SVM", " d-vectors + SVM"
MARKS = tuple(round(25 * 2 ** (k / 2)) for k in range(20))  # updates after which it is tested
HOP = 0.05  # s between the chunks of a test clip
COLUMNS = ("set", "system", "seed", "updates", "minutes", "accuracy")


def main():
    """Run what is missing, and write rows, table and picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3.0, help="of a training")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--n-jobs", type=int, default=2, help="trainings at a time")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    path = args.out / "sincnet.csv"
    rows = []
    if path.exists() and not args.fresh:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [_numbers(row) for row in csv.DictReader(file)]
    done = {(row["set"], row["system"], row["seed"]) for row in rows}
    jobs = [
        delayed(_measured)(data, system, seed, args.minutes)
        for seed in range(args.seeds)
        for data in SETS
        for system in (*FIRST, MFCC, VGG)
        if (data, system, seed) not in done and (system != MFCC or seed == 0)
    ]
    for some in Parallel(args.n_jobs, return_as="generator_unordered")(jobs):
        rows += some
        print(*some[-1].values(), flush=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    text = "\n".join(_report(rows, args.minutes))
    (args.out / "sincnet.md").write_text(text, encoding="utf-8")
    print(text)
    _plot(rows).savefig(args.out / "sincnet.png", dpi=120)


def _numbers(row):
    kinds = {"seed": int, "updates": int, "minutes": float, "accuracy": float}
    return {name: kinds.get(name, str)(value) for name, value in row.items()}


class Speakers:
    """Clips of one set with their speakers, and which of them are for the test."""

    def __init__(self, name):
        sounds = _sets.load(name)
        self.rate, unheard = SETS[name]
        names = [Path(getattr(clip, "path", clip)).stem for clip in sounds.data]
        if name == "fsdd":  # digit_speaker_index
            said, speakers = zip(*(name.split("_")[:2] for name in names), strict=True)
        else:  # two figures of the speaker, three of the text, emotion and version
            said, speakers = zip(*((name[2:5], name[:2]) for name in names), strict=True)
        test = np.isin(said, unheard)
        clips = [read_audio(clip, self.rate) for clip in sounds.data]
        self.train, self.test = (
            [clip for clip, is_test in zip(clips, test, strict=True) if is_test == wanted]
            for wanted in (False, True)
        )
        self.y_train, self.y_test = np.array(speakers)[~test], np.array(speakers)[test]

    def svm(self, extractor):
        """Accuracy of a support vector machine on the features of a fitted extractor."""
        svm = standard_svm().fit(extractor.transform(self.train), self.y_train)
        return svm.score(extractor.transform(self.test), self.y_test)


def _measured(name, system, seed, minutes):
    """Rows of one system: as it learns, at the end, and of its d-vectors."""
    speakers, about = Speakers(name), {"set": name, "system": system, "seed": seed}
    with threadpool_limits(1):
        torch.set_num_threads(1)
        if system not in FIRST:
            extractor = MFCCTransformer() if system == MFCC else RandomCNNTransformer()
            extractor.set_params(sample_rate=speakers.rate)
            if system == VGG:
                extractor.set_params(random_state=seed)
            accuracy = speakers.svm(extractor.fit(speakers.train))
            return [{**about, "updates": 0, "minutes": 0.0, "accuracy": accuracy}]
        curve = Curve(speakers)
        sincnet = SincNetTransformer(
            first=FIRST[system],
            sample_rate=speakers.rate,
            hop_seconds=HOP,
            max_minutes=minutes,
            max_epochs=10**6,
            callbacks=[curve],
            random_state=seed,
        ).fit(speakers.train, speakers.y_train)
        last = {"updates": sincnet.history_[-1]["updates"], "minutes": minutes}
        rows = [{**about, **point} for point in curve.points]
        accuracy = (sincnet.predict(speakers.test) == speakers.y_test).mean()
        rows.append({**about, **last, "accuracy": accuracy})
        about["system"] += D_VECTORS
        return [{**about, **last, "accuracy": speakers.svm(sincnet)}, *rows]


class Curve(Callback):
    """Tests a network after certain updates, while it is trained."""

    def __init__(self, speakers):
        self.speakers = speakers

    def initialize(self):
        self.points, self.seconds, self.updates = [], 0.0, 0
        return self

    def on_batch_end(self, net, training=False, **kwargs):
        self.updates += training

    def on_epoch_end(self, net, **kwargs):
        self.seconds += net.history[-1, "dur"]
        passed = sum(mark <= self.updates for mark in MARKS)
        if passed > len(self.points):
            self.points += [self._point(net.module_)] * (passed - len(self.points))

    def _point(self, task):
        accuracy = float((self._classes(task.eval()) == self.speakers.y_test).mean())
        return {"updates": self.updates, "minutes": self.seconds / 60, "accuracy": accuracy}

    @torch.inference_mode()
    def _classes(self, task):
        chunk, hop = task.network.chunk, round(HOP * self.speakers.rate)
        chosen = []
        for clip in self.speakers.test:
            wave = torch.from_numpy(np.resize(clip, max(chunk, len(clip))))
            chosen.append(int(task.logits(wave.unfold(0, chunk, hop)).sum(0).argmax()))
        return np.unique(self.speakers.y_train)[chosen]


def _finals(rows, data, system):
    """Final accuracy of each seed."""
    chosen = [row for row in rows if row["set"] == data and row["system"] == system]
    last = {row["seed"]: row["accuracy"] for row in chosen}  # rows are in the order of time
    return np.array([last[seed] for seed in sorted(last)])


def _curve(rows, data, system):
    """Mean over the seeds: updates, minutes and accuracy after each of the marks all have."""
    chosen = [row for row in rows if row["set"] == data and row["system"] == system]
    seeds = {row["seed"] for row in chosen}
    runs = [[row for row in chosen if row["seed"] == seed] for seed in sorted(seeds)]
    columns = ("updates", "minutes", "accuracy")
    runs = [[[row[c] for c in columns] for row in run] for run in runs]
    shortest = min(len(run) for run in runs) - 1  # the last row is the end of the training
    marks = [run[:shortest] for run in runs]
    return np.concatenate([np.mean(marks, axis=0), np.mean([run[-1] for run in runs], 0)[None]])


def _first_reached(curve, accuracy):
    """Updates after which a curve has an accuracy, on straight lines between the marks."""
    updates, _, reached = curve.T
    after = int(np.argmax(reached >= accuracy))
    if reached[after] < accuracy:
        return None
    some = slice(max(0, after - 1), after + 1)
    return np.interp(accuracy, reached[some], updates[some])


def _report(rows, minutes):
    yield "# Does SincNet do what its paper says?"
    yield ""
    yield "Accuracy in percent of telling speakers apart by texts (EmoDB) and digits (FSDD) that"
    yield f"training never heard, mean ± deviation over the seeds, after {minutes:g} minutes of one"
    yield f"core. Made by `python benchmarks/sincnet.py --minutes {minutes:g}`."
    yield ""
    yield from about()
    yield ""
    yield f"| system | {' | '.join(SETS)} |"
    yield f"|---|{'---:|' * len(SETS)}"
    systems = [*FIRST, *(name + D_VECTORS for name in FIRST), MFCC, VGG]
    for system in systems:
        scores = [100 * _finals(rows, data, system) for data in SETS]
        yield f"| {system} | {' | '.join(f'{s.mean():.1f} ± {s.std():.1f}' for s in scores)} |"
    yield ""
    for data in SETS:
        sinc, ordinary = (_curve(rows, data, system) for system in FIRST)
        needed, n_updates = _first_reached(sinc, ordinary[-1, 2]), ordinary[-1, 0]
        text = "does not reach the ordinary layer's final accuracy"
        if needed is not None:
            text = (
                f"reaches the ordinary layer's final accuracy, {100 * ordinary[-1, 2]:.1f} %, "
                f"after {needed:.0f} of its {n_updates:.0f} updates ({needed / n_updates:.2f})"
            )
        yield f"- {data}: SincNet {text}."
    yield ""


def _plot(rows):
    axes = new_panels(None, len(SETS), most=2, width=5.0, height=3.8, sharey=True)
    for ax, data in zip(axes, SETS, strict=True):
        for system, colour in zip(FIRST, COLOURS, strict=False):
            _, minutes, accuracy = _curve(rows, data, system).T
            ax.plot(minutes, 100 * accuracy, color=colour, marker=".", label=system)
            final = 100 * _finals(rows, data, system + D_VECTORS).mean()
            ax.axhline(final, color=colour, linestyle=":", label=system + D_VECTORS)
        for system, colour in ((MFCC, COLOURS[2]), (VGG, COLOURS[3])):
            final = 100 * _finals(rows, data, system).mean()
            ax.axhline(final, color=colour, linestyle="--", label=system)
        ax.set(title=data, xlabel="minutes of training, one core")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("accuracy (%)")
    axes[-1].legend(fontsize="small", frameon=False, loc="lower right")
    return axes[0].figure


if __name__ == "__main__":
    main()
