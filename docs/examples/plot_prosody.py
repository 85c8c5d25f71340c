"""
Pitch and prosody of a voice
============================

The same syllables are a statement if their melody falls, and a question if it rises. What do
`skaudio.frontends.Pitch` and `skaudio.ProsodyTransformer` say about that?
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.signal import lfilter

from skaudio import ProsodyTransformer
from skaudio.plotting import PitchDisplay

RATE = 16000
FORMANTS = {"a": (750, 1250, 2500), "i": (280, 2250, 2900), "u": (310, 800, 2300)}  # Hz
rng = np.random.default_rng(0)


def say(vowels, melody):
    """Make a syllable of each vowel, after a hiss: pulses through resonators."""
    n = int(0.35 * RATE)
    time = np.arange(n * len(vowels))
    f0 = np.interp(time, np.linspace(0, len(time), len(melody)), melody)
    pulses = np.diff(np.floor(np.cumsum(f0) / RATE), prepend=0)  # one for each period
    voiced = time % n > 0.3 * n
    pulses *= voiced * np.hanning(n)[time % n] ** 0.3
    wave = []
    for vowel, part in zip(vowels, pulses.reshape(-1, n), strict=True):
        part = lfilter([1, -1], [1, -0.97], part)  # a mouth lets no constant pressure through
        for hertz in FORMANTS[vowel]:
            radius, angle = np.exp(-np.pi * 90 / RATE), 2 * np.pi * hertz / RATE
            part = lfilter([1], [1, -2 * radius * np.cos(angle), radius**2], part)
        wave.append(0.2 * part / part.std())
    hiss = np.diff(rng.standard_normal(len(time) + 1))
    return np.concatenate(wave) + hiss * np.where(voiced, 0.001, 0.01)


clips = {
    "statement": say("aiu", (150, 170, 140, 120, 90)),
    "question": say("aiu", (150, 140, 145, 170, 250)),
}

# %%
# Pitch
# -----
# The line is the fundamental frequency, over the spectrogram; it has gaps where no voice is heard.
# The harmonics above move with it, and which of them are strong makes the vowel.

figure, axes = plt.subplots(1, 2, figsize=(11, 3.5), layout="constrained", sharey=True)
for ax, (name, clip) in zip(axes, clips.items(), strict=True):
    PitchDisplay.from_clip(clip, RATE).plot(ax=ax)
    ax.set(title=name, ylim=(0, 1500))
    ax.label_outer()
plt.show()

# %%
# Contours
# --------
# ``transform_frames`` measures more than pitch every 10 ms. Where no voice is heard, the contours
# of a voice are 0, which means nothing and is left out here. Loudness is that of the syllables,
# whatever their melody.

sounds = list(clips.values())
prosody = ProsodyTransformer().fit(sounds)
names = prosody.get_frame_names_out().tolist()
times = prosody.frame_times(len(sounds[0]))
labels = {"f0_semitone": "pitch (semitones)", "loudness": "loudness", "hnr": "hnr (dB)"}
figure, axes = plt.subplots(3, 1, figsize=(8, 5.5), sharex=True, layout="constrained")
for frames, clip, colour in zip(
    prosody.transform_frames(sounds), clips, ("#0072B2", "#D55E00"), strict=True
):
    voiced = frames[:, names.index("voiced")] > 0
    for ax, contour in zip(axes, labels, strict=True):
        shown = voiced | (contour == "loudness")
        values = np.where(shown, frames[:, names.index(contour)], np.nan)
        ax.plot(times, values, color=colour, label=clip)
for ax, label in zip(axes, labels.values(), strict=True):
    ax.set(ylabel=label)
    ax.spines[["top", "right"]].set_visible(False)
figure.align_ylabels()
axes[-1].set(xlabel="time (s)")
handles = axes[0].get_legend_handles_labels()
figure.legend(*handles, loc="outside upper center", ncols=2, frameon=False)
plt.show()

# %%
# Columns
# -------
# ``transform`` sums the contours up by functionals. Medians and means hardly tell the two clips
# apart. How pitch runs over the clip does: its slope in semitones, and the mean of its last third.

features = prosody.transform(sounds)
names = [*prosody.get_feature_names_out()]
print(f"{len(names)} columns, among them\n\n{'':22}{''.join(f'{name:>12}' for name in clips)}")
columns = ["f0_semitone_p50", "loudness_mean", "hnr_mean", "voiced_share"]
columns += ["f0_semitone_slope", "f0_semitone_third3"]
for column in columns:
    values = features[:, names.index(column)]
    print(f"{column:22}{''.join(f'{value:12.2f}' for value in values)}")
