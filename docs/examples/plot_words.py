"""
Sounds as words
===============

`skaudio.VQTransformer` gives every 10 ms of a clip a code from a vocabulary that it learnt without
labels. What does such a text look like, and how much of the vocabulary is used?
"""

import matplotlib.pyplot as plt
import numpy as np

from skaudio import VQTransformer
from skaudio.datasets import make_sounds

N_CODES = 16
COLOURS = ("#0072B2", "#D55E00")  # of the two groups of codes
sounds = make_sounds(120, random_state=0)


def learn(quantizer):
    """Train a small network whose frames have a code in each of two groups."""
    return VQTransformer(
        quantizer,
        n_codes=N_CODES,
        output="embedding",
        encoder_layers=((32, 10, 5), (32, 8, 4), (32, 4, 2), (32, 4, 2), (32, 4, 2)),
        aggregator_layers=((32, 2, 1), (32, 3, 1), (32, 4, 1)),
        n_steps=6,
        crop_seconds=0.5,
        batch_seconds=8.0,
        max_epochs=12,
        random_state=0,
    ).fit(sounds.data)


extractors = {quantizer: learn(quantizer) for quantizer in ("ema", "kmeans", "gumbel")}

# %%
# Two texts
# ---------
# ``encode`` gives the codes. With the numbers of both groups as one word, this is a note of a
# piano, every fifth frame of it:

words = extractors["ema"]
names = [sounds.target_names[label] for label in sounds.target]
clips = {name: sounds.data[names.index(name)] for name in ("piano", "flute")}
texts = dict(zip(clips, words.encode(list(clips.values())), strict=True))
print(" ".join(f"{first}-{second}" for first, second in texts["piano"][::5]))

# %%
# And this is the whole of it, beside a flute, below their spectrograms:

figure = plt.figure(figsize=(9, 5.5), layout="constrained")
axes = figure.subplots(3, 2, sharex="col", sharey="row", height_ratios=(2, 1, 1))
for (top, *rest), (name, clip) in zip(axes.T, clips.items(), strict=True):
    rate = sounds.sample_rate
    top.specgram(clip, NFFT=512, noverlap=384, Fs=rate, cmap="Greys", vmin=-130)
    top.set(title=name, ylim=(0, 4000))
    for ax, codes, colour in zip(rest, texts[name].T, COLOURS, strict=True):
        ax.plot(words.frame_times(len(clip)), codes, "s", color=colour, markersize=3)
        ax.set(xlim=(0, len(clip) / rate), ylim=(-1, N_CODES), yticks=(0, 5, 10, 15))
        ax.grid(axis="y", color="0.9")
        ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlabel("seconds")
for ax, label in zip(axes[:, 0], ("Hz", "code of group 0", "code of group 1"), strict=True):
    ax.set_ylabel(label)
plt.show()

# %%
# The piano decays from word to word, the flute alternates between a few. The numbers themselves
# have no meaning: codes 3 and 4 need not be alike.
#
# How much of the vocabulary is used
# ----------------------------------
# ``perplexity_`` says how many equally frequent codes would carry as much information as those
# of the clips seen in ``fit``: from 1, where a single code is left, to 16, where all are as
# frequent as each other (dotted).

figure, axes = plt.subplots(1, 3, figsize=(9, 3), sharey=True, layout="constrained")
for ax, (quantizer, extractor) in zip(axes, extractors.items(), strict=True):
    codes = np.concatenate(extractor.encode(sounds.data))
    for group, colour in enumerate(COLOURS):
        fractions = np.bincount(codes[:, group], minlength=N_CODES) / len(codes)
        positions = np.arange(1, N_CODES + 1) + 0.4 * (group - 0.5)
        ax.bar(positions, np.sort(fractions)[::-1], 0.4, color=colour, label=f"group {group}")
    ax.axhline(1 / N_CODES, color="black", linewidth=1, linestyle=":")
    first, second = extractor.perplexity_
    text = f"perplexity {first:.1f} and {second:.1f}"
    ax.text(1, 0.95, text, transform=ax.transAxes, ha="right", va="top")
    ax.set(title=f'"{quantizer}"', xlabel="codes, by frequency", xticks=(1, 4, 8, 12, 16))
    ax.spines[["top", "right"]].set_visible(False)
axes[0].set_ylabel("fraction of frames")
axes[0].legend(frameon=False, loc="center right")
plt.show()

# %%
# The Gumbel quantiser uses fewer codes than the two that choose by distance, more so in a training
# as short as this one. Where ``perplexity_`` is near 1, a count of codes is worth nothing;
# :doc:`/guide/words` says what can be done.
