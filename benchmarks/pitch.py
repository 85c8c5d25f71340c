"""Is the pitch right, and how fast is it found? Beside librosa's pyin and yin, and openSMILE.

    SKAUDIO_DATA=path/to/the/sets python benchmarks/pitch.py

voices     Synthetic voices with the course of speech, whose pitch is known, clean and at 10 dB.
emodb      Real speech: against the median of three trackers, ours, pyin and openSMILE.
speed      Clips of EmoDB in memory, one thread, time of the processor. From openSMILE all 88
           features of eGeMAPSv02, of which pitch is a part; it has no smaller set with this pitch.
profile    Where our time goes.

A gross error is a voiced frame that is off by more than 20 %, a voicing error a frame that is
voiced for only one of tracker and truth. Cents are those of frames without either error. As time
stamps differ between programs, each tracker's delay is measured on a glide and taken out.
"""

import argparse
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from unittest import mock

import _sets
import _voices
import numpy as np
import torch
from _timing import in_turn, set_threads
from compare import about

from skaudio import read_audio
from skaudio._frontends import pitch as pitch_module
from skaudio.frontends import Pitch
from skaudio.plotting._style import COLOURS, new_panels

GROSS = 0.2
JUDGES = ("skaudio", "librosa.pyin", "openSMILE F0")  # their median is the truth for real speech
FULL = {"voices": 20, "emodb": 40, "speed": 32}
QUICK = {"voices": 2, "emodb": 2, "speed": 2}
STAGES = {
    "mean, low-pass, decimation": (Pitch, "_prepared"),
    "frames, candidates": (Pitch, "_candidates"),
    "autocorrelation": (Pitch, "_periodicity"),
    "interpolation": (Pitch, "_summit"),
    "path": (pitch_module, "best_path"),
}
INSIDE = {"frames, candidates": ("autocorrelation", "interpolation")}


def main():
    """Measure, and write table and picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="few clips, to try the script")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    sizes = QUICK if args.quick else FULL
    set_threads(1)
    trackers = _voices.trackers()
    delays = {name: _voices.delay(track) for name, track in trackers.items()}
    lines, curves = [*about(), f"Seed: {args.seed}.", ""], {}
    for decibels in (50, 10):
        rng = np.random.default_rng(args.seed)
        voices = [_voices.speech_like(rng, decibels=decibels) for _ in range(sizes["voices"])]
        some = {name: _on_voices(track, delays[name], voices) for name, track in trackers.items()}
        title = f"{len(voices)} synthetic voices of 3 s, noise {decibels} dB below"
        lines += _table(title, some, delays)
        curves[f"{decibels} dB"] = some
    clips = _speech(sizes["emodb"])
    if {*JUDGES} <= {*trackers}:
        lines += _table(
            f"{len(clips)} clips of EmoDB, against the median of {', '.join(JUDGES)}",
            _on_speech(trackers, delays, clips),
            delays,
        )
    times = _speed(_speech(sizes["speed"]))
    lines += times
    text = "\n".join([*lines, *_profile(_speech(sizes["speed"]))]) + "\n"
    print(text)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "pitch.md").write_text(text, encoding="utf-8")
    _plot(curves).savefig(args.out / "pitch.png", dpi=120)


def _speech(n_clips):
    """Waves of clips of EmoDB, evenly from all speakers."""
    files = _sets.load("emodb_2s").data
    return [read_audio(file, _voices.RATE) for file in files[:: len(files) // n_clips][:n_clips]]


# --- errors -----------------------------------------------------------------------------------


def _on_voices(track, delay, voices):
    """Pairs (2, n) of found and true frequency, 0 where unvoiced."""
    pairs = []
    for voice in voices:
        times, found = track(voice.wave)
        at = np.round((times + delay) * _voices.RATE).astype(int)
        inside = (at >= 0) & (at < len(voice.f0))
        at = at[inside]
        pairs.append([found[inside], np.where(voice.voiced[at], voice.f0[at], 0.0)])
    return np.concatenate(pairs, axis=1)


def _on_speech(trackers, delays, clips):
    """Pairs (2, n) of each tracker and the median of the judges, 0 where unvoiced."""
    pairs = {name: [] for name in trackers}
    for clip in clips:
        grid = np.arange(10, len(clip) // _voices.HOP - 10)
        found = {}
        for name, track in trackers.items():
            times, f0 = track(clip)
            nearest = np.abs(grid[:, None] * _voices.HOP / _voices.RATE - times - delays[name])
            found[name] = f0[nearest.argmin(1)]
        low, middle, high = np.sort([found[name] for name in JUDGES], axis=0)
        # two votes make a frame voiced; then the median is the mean of the two
        true = np.where(low > 0, middle, np.where(middle > 0, (middle + high) / 2, 0.0))
        for name, f0 in found.items():
            pairs[name].append([f0, true])
    return {name: np.concatenate(some, axis=1) for name, some in pairs.items()}


def _cents(pairs):
    """Errors of the frames that are voiced for both, and which of them are gross."""
    found, true = pairs[:, (pairs > 0).all(0)]
    return np.abs(1200 * np.log2(found / true)), np.abs(found / true - 1) > GROSS


def _table(title, some, delays):
    """Errors of all trackers."""
    yield from (f"## {title}", "")
    yield "| tracker | delay, ms | median, cents | p95, cents | gross errors | voicing errors |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name, pairs in some.items():
        cents, gross = _cents(pairs)
        median, p95 = np.percentile(cents[~gross], [50, 95])
        wrong = 100 * np.mean((pairs[0] > 0) != (pairs[1] > 0))
        # yin does not tell voiced frames from others
        voicing = "" if (pairs[0] > 0).all() else f"{wrong:.1f} %"
        cells = f"{1e3 * delays[name]:.1f} | {median:.1f} | {p95:.1f} | {100 * gross.mean():.2f} %"
        yield f"| {name} | {cells} | {voicing} |"
    yield ""


# --- speed ------------------------------------------------------------------------------------


def _batch(clips):
    lengths = torch.tensor([len(clip) for clip in clips])
    wave = torch.zeros(len(clips), int(lengths.max()))
    for row, clip in zip(wave, clips, strict=True):
        row[: len(clip)] = torch.from_numpy(clip)
    return wave, lengths


def _speed(clips):
    """Times of all ways, with ratios."""
    ours = Pitch(_voices.RATE, _voices.HOP, _voices.FMIN, _voices.FMAX)
    singles = [_batch([clip]) for clip in clips]
    batch, whole = _batch(clips), _batch([np.concatenate(clips)])
    trackers = _voices.trackers()
    ways = {
        "skaudio, one batch": lambda: ours(*batch),
        "skaudio, clip by clip": lambda: [ours(*single) for single in singles],
        "skaudio, all in one clip": lambda: ours(*whole),
        **{
            name: partial(lambda track: [track(clip) for clip in clips], trackers[name])
            for name in ("librosa.pyin", "librosa.yin")
        },
    }
    if "openSMILE F0" in trackers:
        import opensmile

        smile = opensmile.Smile(feature_set=opensmile.FeatureSet.eGeMAPSv02)
        ways["openSMILE eGeMAPSv02"] = lambda: [
            smile.process_signal(clip, _voices.RATE) for clip in clips
        ]
    timings = in_turn(ways, seconds=60, clock=time.process_time)
    best, seconds = timings["skaudio, one batch"].median, sum(map(len, clips)) / _voices.RATE
    yield from (f"## Speed: {len(clips)} clips of EmoDB, {seconds:.0f} s of speech, one thread", "")
    yield "| | processor, s | range | times skaudio's | times real time |"
    yield "|---|---:|---:|---:|---:|"
    for name, t in timings.items():
        ratios = f"{t.median / best:.2f} | {seconds / t.median:.0f}"
        yield f"| {name} | {t.median:.3g} | {t.low:.3g} to {t.high:.3g} | {ratios} |"
    yield ""


def _profile(clips):
    """Shares of the parts in the time of a batch."""
    ours, batch = Pitch(_voices.RATE, _voices.HOP, _voices.FMIN, _voices.FMAX), _batch(clips)
    ours(*batch)
    spent = dict.fromkeys(STAGES, 0.0)
    with ExitStack() as stack:
        for stage, (owner, name) in STAGES.items():
            clocked = _clocked(spent, stage, getattr(owner, name))
            stack.enter_context(mock.patch.object(owner, name, clocked))
        begin = time.process_time()
        for _ in range(5):
            ours(*batch)
        total = time.process_time() - begin
    for stage, parts in INSIDE.items():
        spent[stage] -= sum(spent[part] for part in parts)
    spent["the rest"] = total - sum(spent.values())
    yield from ("## Where the time of the batch goes", "", "| part | share |", "|---|---:|")
    for stage, seconds in spent.items():
        yield f"| {stage} | {100 * seconds / total:.0f} % |"


def _clocked(spent, stage, function):
    """Return the function, with its time added to what the stage has spent."""

    def clocked(*args, **kwargs):
        begin = time.process_time()
        result = function(*args, **kwargs)
        spent[stage] += time.process_time() - begin
        return result

    return clocked


# --- picture ----------------------------------------------------------------------------------


def _plot(curves):
    """Share of the voiced frames within so many cents, a panel for each level of noise."""
    axes = new_panels(None, len(curves), most=2, width=4.5, height=3.6, sharey=True)
    for ax, (title, some) in zip(axes, curves.items(), strict=True):
        for colour, (name, pairs) in zip(COLOURS, some.items(), strict=False):
            cents, _ = _cents(pairs)
            # voiced frames that were not found count as errors of any size
            n_voiced = (pairs[1] > 0).sum()
            ax.plot(
                np.sort(cents), np.arange(1, len(cents) + 1) / n_voiced, color=colour, label=name
            )
        ax.set(xscale="log", xlim=(0.1, 2400), ylim=(0, 1), xlabel="error (cents)")
        ax.set_title(f"noise {title} below the voice", fontsize="medium")
        ax.grid(True, color="0.9")
    axes[0].set_ylabel("share of voiced frames")
    axes[0].legend(frameon=False, fontsize=8)
    return axes[0].figure


if __name__ == "__main__":
    main()
