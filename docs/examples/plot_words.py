"""
Sounds as words
===============

`skaudio.VQTransformer` writes a code for every 10 ms of a clip, from a vocabulary that it learnt
without labels. What does such a text look like, and is the vocabulary used?
"""

import matplotlib.pyplot as plt
import numpy as np

from skaudio import VQTransformer
from skaudio.datasets import make_sounds

sounds = make_sounds(160, random_state=0)
SMALL = {
    "encoder_layers": ((32, 10, 5), (32, 8, 4), (32, 4, 2), (32, 4, 2), (32, 4, 2)),
    "aggregator_layers": ((32, 2, 1), (32, 3, 1), (32, 4, 1)),
    "n_codes": 16,
    "n_steps": 6,
    "crop_seconds": 0.5,
    "batch_seconds": 8.0,
    "max_epochs": 12,
    "random_state": 0,
}
words = {
    quantizer: VQTransformer(quantizer, **SMALL).fit(sounds.data)
    for quantizer in ("ema", "kmeans", "gumbel")
}

# %%
# Two notes
# ---------
# There are two groups of 16 codes here, and every frame has one code of each.

ema = words["ema"]
names = [sounds.target_names[label] for label in sounds.target]
figure, axes = plt.subplots(
    2, 4, figsize=(14, 5), sharex="col", sharey="row", layout="constrained"
)
for column, name in zip(axes.T, ("piano", "strings","bell","flute"), strict=True):
    clip = sounds.data[names.index(name)]
    (codes,) = ema.encode([clip])
    times = ema.frame_times(len(clip))
    column[0].specgram(clip, NFFT=512, noverlap=384, Fs=sounds.sample_rate, cmap="Greys", vmin=-140)
    column[0].set(title=name)
    for group, colour in enumerate(("#0072B2", "#D55E00")):
        column[1].plot(times, 16 * group + codes[:, group], "|", color=colour, markersize=5)
    column[1].set(xlabel="seconds", xlim=(0, len(clip) / sounds.sample_rate))
plt.show()
figure, axes = plt.subplots(1, 3, figsize=(9, 3), sharey=True, layout="constrained")
for ax, (quantizer, vq) in zip(axes, words.items(), strict=True):
    codes = np.concatenate(vq.encode(sounds.data))
    for group, colour in enumerate(("#0072B2", "#D55E00")):
        shares = np.bincount(codes[:, group], minlength=16) / len(codes)
        ax.bar(np.arange(1, 17)+.4*group, np.sort(shares)[::-1], .4, color=colour)
    ax.set_title(f"{quantizer}, {vq.perplexity_.round(1)}")
plt.show()
