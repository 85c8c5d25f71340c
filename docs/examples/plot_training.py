"""
Features learnt without labels
==============================

`skaudio.Wav2VecTransformer` learns from sounds alone: it has to tell the true future of a clip
from other moments of it. Does that help to recognise instruments, which nobody told it about?
"""

import tempfile

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skaudio import MFCCTransformer, Wav2VecTransformer
from skaudio.datasets import make_sounds
from skaudio.plotting import TrainingDisplay

sounds = make_sounds(160, random_state=0)
seconds = sum(map(len, sounds.data)) / sounds.sample_rate
print(f"{len(sounds.data)} notes, {seconds:.0f} s in all")


def validate(extractor):
    """Recognise instruments at pitches that are not in the training part."""
    svm = make_pipeline(extractor, StandardScaler(), SVC(C=8))
    return cross_validate(svm, sounds.data, sounds.target, cv=sounds.splits, return_estimator=True)


# %%
# Each of the five folds trains a network of its own, on the clips of its training part and without
# their labels. With ``checkpoint`` that is done once: the second question, about other features of
# the same networks, trains nothing.
#
# To take only seconds, the networks are smaller than ``size="tiny"`` and trained for twelve
# epochs. ``max_epochs=0`` leaves them as they were initialised.

EPOCHS, N_NEGATIVES = 12, 10
SMALL = {
    "encoder_layers": ((32, 10, 5), (32, 8, 4), (32, 4, 2), (32, 4, 2), (32, 4, 2)),
    "aggregator_layers": ((32, 2, 1), (32, 3, 1), (32, 4, 1)),
    "n_steps": 6,
    "n_negatives": N_NEGATIVES,
    "crop_seconds": 0.5,
    "batch_seconds": 8.0,
    "validation_fraction": 0.2,
    "early_stopping": False,
    "random_state": 0,
}
results = {}
with tempfile.TemporaryDirectory() as folder:
    for features in ("z", "c"):
        for epochs in (0, EPOCHS):
            results[features, epochs] = validate(
                Wav2VecTransformer(**SMALL, features=features, max_epochs=epochs, checkpoint=folder)
            )

# %%
# ``history_`` tells how well the true moment was told from ten others. A fifth of the clips that a
# network is given is held out; guessing gets one in eleven right, at a loss of log(11).

trained = {f"fold {i + 1}": pipe[0] for i, pipe in enumerate(results["c", EPOCHS]["estimator"])}
display = TrainingDisplay.from_estimators(trained).plot()
for ax, chance in zip(display.axes_, (np.log(1 + N_NEGATIVES), 1 / (1 + N_NEGATIVES)), strict=True):
    ax.axhline(chance, color="black", linewidth=1, linestyle=":")
    ax.annotate("chance", (EPOCHS, chance), ha="right", va="bottom")
plt.show()

# %%
# A support vector machine on frames z and on context c, before and after:

bars = {"untrained": (0, "0.75"), "trained": (EPOCHS, "#0072B2")}
names = {"z": "frames z", "c": "context c"}
figure, ax = plt.subplots(figsize=(7, 2.9), layout="constrained")
for i, (label, (epochs, colour)) in enumerate(bars.items()):
    scores = np.array([results[features, epochs]["test_score"] for features in names])
    shown = ax.barh(np.arange(2) + 0.38 * i, scores.mean(axis=1), 0.36, color=colour, label=label)
    ax.bar_label(shown, fmt="%.2f", padding=-32, color=("black", "white")[i])
mfcc = validate(MFCCTransformer())["test_score"].mean()
for level, label in ((1 / 8, "chance"), (mfcc, "MFCC")):
    ax.axvline(level, color="black", linewidth=1, linestyle="--")
    ax.text(level, -0.25, label, ha="center", va="bottom")
ax.set(xlabel="accuracy", xlim=(0, 1), ylim=(1.65, -0.25))
ax.set_yticks(np.arange(2) + 0.19, names.values())
ax.spines[["top", "right"]].set_visible(False)
figure.legend(loc="outside upper center", ncols=2, frameon=False)
plt.show()

# %%
# Both became far better features, and the context, which has heard more of the note, the better
# ones: to predict a sound is to know what kind of sound it is. Two minutes of sound and seconds of
# training are little, though, and MFCCs, which need neither, are still ahead.
# :doc:`/guide/training` says what a training on one's own recordings takes.
