"""
Clips as points: MFCC and a random network
==========================================

A vector of features is a place in a space of many dimensions. Do clips of one class lie
together there? A picture in two dimensions gives a first impression, and a classifier the
answer.
"""

import matplotlib.pyplot as plt
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaudio import MFCCTransformer, RandomCNNTransformer
from skaudio.datasets import make_sounds
from skaudio.plotting import EmbeddingDisplay

sounds = make_sounds(240, random_state=0)
extractors = {
    "MFCC": MFCCTransformer(),
    "vgg": RandomCNNTransformer(n_filters=16, random_state=0),
}
features = {name: each.fit_transform(sounds.data) for name, each in extractors.items()}


def show(method):
    """Draw both sets of features side by side."""
    _, axes = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
    for ax, (name, Z) in zip(axes, features.items(), strict=True):
        display = EmbeddingDisplay.from_features(
            Z, sounds.target, method=method, target_names=sounds.target_names
        )
        display.plot(ax).ax_.set_title(f"{name}, {Z.shape[1]} features")
    axes[0].get_legend().remove()  # the other one serves both
    plt.show()


# %%
# The first two principal components preserve distances as well as two axes can, which is not very
# well: the axes state how much of the variance they explain. Both extractors separate the notes
# that decay fastest, bells and guitars, from the sustained ones, which overlap.

show("pca")

# %%
# t-SNE preserves neighbourhoods instead; the distances between its groups mean little. Now the
# classes become visible, and with the random network they mix less.

show("tsne")

# %%
# A picture is no proof. Let the five nearest neighbours, all of them at other pitches, name the
# class of each clip:

for name, Z in features.items():
    voters = make_pipeline(StandardScaler(), KNeighborsClassifier(5))
    scores = cross_val_score(voters, Z, sounds.target, cv=sounds.splits)
    print(f"{name:5} {scores.mean():.2f}")
