"""
One extraction for a whole grid search
======================================

A grid search fits the whole pipeline for each setting and fold. If only the classifier changes,
the extractor computes the same features again and again, unless it has a ``memory``.
"""

import tempfile
import time

import matplotlib.pyplot as plt
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skaudio import FeatureCache, RandomCNNTransformer
from skaudio.datasets import make_sounds

sounds = make_sounds(80, random_state=0)
RandomCNNTransformer().fit_transform(sounds.data[:1])  # what loads at first use, not timed


def seconds(memory):
    """Time of a search over four values of C with five folds."""
    cnn = RandomCNNTransformer(n_filters=16, random_state=0, memory=memory)
    pipe = make_pipeline(cnn, StandardScaler(), SVC())
    search = GridSearchCV(pipe, {"svc__C": [0.1, 1, 8, 32]}, cv=sounds.splits)
    begin = time.perf_counter()
    search.fit(sounds.data, sounds.target)
    return time.perf_counter() - begin


with tempfile.TemporaryDirectory() as folder:
    times = {
        "no memory": seconds(None),
        "memory, first time": seconds(folder),
        "memory, again": seconds(folder),
    }
    cache = FeatureCache(folder)
    print(f"{len(cache)} rows of features cached, {cache.size / 1e6:.1f} MB")
for name, spent in times.items():
    print(f"{name:20}{spent:6.2f} s")

# %%
# Four settings on five folds and the final fit pass all 80 clips through the extractor 21 times.
# With a memory each of them is computed once, whichever folds it is in, and when the search is
# repeated, perhaps tomorrow and with other values of ``C``, none.

figure, ax = plt.subplots(figsize=(6.5, 2.4), layout="constrained")
bars = ax.barh(list(times), list(times.values()), color=["0.75", "#0072B2", "#56B4E9"])
ax.bar_label(bars, fmt="%.2f s", padding=4)
ax.set_xlim(0, 1.15 * max(times.values()))
ax.set_xlabel("seconds for the whole search")
ax.invert_yaxis()
ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# The seconds are those of the machine that built this page, and the clips are short. What is
# saved grows with the clips: see :doc:`/guide/search` for a search over real recordings.
