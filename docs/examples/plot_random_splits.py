"""
Random splits are too optimistic
================================

Recordings are often cut into clips, and a split that shuffles the clips puts pieces of one
recording into training and test. The classifier then need not know the instrument: it is enough
to recognise the recording. How much too good is the score?
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skaudio import MFCCTransformer, RandomCNNTransformer
from skaudio.datasets import make_sounds

PIECES = 5
sounds = make_sounds(80, min_seconds=2, max_seconds=2, random_state=0)
clips = [piece for note in sounds.data for piece in np.split(note, PIECES)]
target = np.repeat(sounds.target, PIECES)
recording = np.repeat(np.arange(80), PIECES)
print(f"80 recordings, {len(clips)} clips of {len(clips[0]) / sounds.sample_rate} s")

# %%
# The same features and the same classifier are scored twice: with folds that shuffle the clips,
# and with folds that never divide a recording.

extractors = {
    "MFCC": MFCCTransformer(),
    "vgg": RandomCNNTransformer(n_filters=16, random_state=0),
    "temporal": RandomCNNTransformer("temporal", n_filters=16, random_state=0),
}
shuffled = StratifiedKFold(5, shuffle=True, random_state=0)
together = StratifiedGroupKFold(5, shuffle=True, random_state=0)
folds = {
    "clips shuffled": list(shuffled.split(clips, target)),
    "recordings undivided": list(together.split(clips, target, recording)),
}
scores = {name: [] for name in folds}
for extractor in extractors.values():
    Z = extractor.fit_transform(clips)
    for name, cv in folds.items():
        svm = make_pipeline(StandardScaler(), SVC(C=8))
        scores[name].append(cross_val_score(svm, Z, target, cv=cv).mean())

figure, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
for i, (name, values) in enumerate(scores.items()):
    position, colour = np.arange(3) + 0.38 * i, ("0.75", "#0072B2")[i]
    bars = ax.barh(position, values, 0.36, color=colour, label=name)
    ax.bar_label(bars, fmt="%.2f", padding=4)
ax.axvline(1 / 8, color="black", linestyle="--")
ax.text(1 / 8, -0.3, "chance", ha="center")
ax.set(xlabel="accuracy", xlim=(0, 1), ylim=(2.65, -0.25))
ax.set_yticks(np.arange(3) + 0.19, extractors)
ax.spines[["top", "right"]].set_visible(False)
figure.legend(loc="outside upper center", ncols=2, frameon=False)
plt.show()

# %%
# The grey bars are not better classifiers, they are an easier question. Only the blue ones say what
# to expect of a recording that was not in training. The gap is not the same for all extractors, so
# the grey bars do not even compare them fairly.
#
# The sets of `skaudio.datasets` therefore have ``splits`` with no group on both sides, and
# ``skaudio compare`` has the option ``--groups`` for recordings of your own.
