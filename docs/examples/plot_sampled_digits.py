"""
Sampled digits
==============

A `skaudio.WaveNetTransformer` with ``conditions="label"`` has heard one speaker say digits. What
does it say itself? The clips below were made by ``python benchmarks/density.py --only sampled``,
which also measured them: the training takes some minutes, more than a page should.
"""

import csv
from pathlib import Path

import matplotlib.pyplot as plt
import soundfile

results = Path("../../benchmarks/results")
files = [results / "sampled_digits" / f"digit_{digit}.wav" for digit in range(10)]
clips = [soundfile.read(file) for file in files]

figure, axes = plt.subplots(2, 5, figsize=(9, 4), sharex=True, sharey=True, layout="constrained")
for digit, (ax, (clip, rate)) in enumerate(zip(axes.flat, clips, strict=True)):
    ax.specgram(clip, NFFT=256, noverlap=192, Fs=rate, cmap="Greys", vmin=-130)
    ax.set_title(f"{digit}")
axes[1, 0].set(xlabel="seconds", ylabel="Hz")
plt.show()

# %%
# To listen: :download:`0 <../../benchmarks/results/sampled_digits/digit_0.wav>`,
# :download:`1 <../../benchmarks/results/sampled_digits/digit_1.wav>`,
# :download:`2 <../../benchmarks/results/sampled_digits/digit_2.wav>`,
# :download:`3 <../../benchmarks/results/sampled_digits/digit_3.wav>`,
# :download:`4 <../../benchmarks/results/sampled_digits/digit_4.wav>`,
# :download:`5 <../../benchmarks/results/sampled_digits/digit_5.wav>`,
# :download:`6 <../../benchmarks/results/sampled_digits/digit_6.wav>`,
# :download:`7 <../../benchmarks/results/sampled_digits/digit_7.wav>`,
# :download:`8 <../../benchmarks/results/sampled_digits/digit_8.wav>`,
# :download:`9 <../../benchmarks/results/sampled_digits/digit_9.wav>`.
#
# Copy, speech or noise?
# ----------------------
# The log-spectral distance to the nearest real digit that was trained on is 0 for a copy, and large
# for noise. Real digits that the network has not heard tell what a good one would be. A classifier
# of real digits tells how many of the sampled ones it takes for what they were meant to be.

with open(results / "density.csv", newline="", encoding="utf-8") as file:
    rows = [row for row in csv.DictReader(file) if row["job"] == "sampled digits"]
for row in rows:
    print(f"{row['system']:26} {row['measure']:28} {float(row['value']):6.2f}")
