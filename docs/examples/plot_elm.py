"""
Size and penalty of an extreme learning machine
===============================================

`skaudio.ELMClassifier` has one random hidden layer and solves for the output weights. The
classic machine has no penalty (``alpha=0``). What does that cost, and how many hidden units
should there be?
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.preprocessing import StandardScaler

from skaudio import ELMClassifier, MFCCTransformer
from skaudio.datasets import make_sounds

sounds = make_sounds(240, random_state=0)
train, test = sounds.splits[0]
Z = MFCCTransformer().fit_transform(sounds.data)
Z = StandardScaler().fit(Z[train]).transform(Z)
print(f"{len(train)} clips to learn from, {len(test)} to test, {Z.shape[1]} features")

# %%
# Each machine is initialised with five seeds.

sizes = [10, 20, 40, 60, 80, 100, 125, 150, 175, 192, 210, 240, 300, 400, 600, 1000]
alphas = [0, 100, 1000, 10000]


def errors(n_hidden, alpha):
    """Share of wrong answers on the training and on the test clips, means over the draws."""
    wrong = []
    for seed in range(5):
        elm = ELMClassifier(n_hidden, alpha=alpha, random_state=seed)
        elm.fit(Z[train], sounds.target[train])
        wrong.append([1 - elm.score(Z[part], sounds.target[part]) for part in (train, test)])
    return np.mean(wrong, axis=0)


curves = {alpha: np.array([errors(n, alpha) for n in sizes]) for alpha in alphas}

figure, ax = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
for alpha, colour in zip(alphas, ("#D55E00", "#56B4E9", "#0072B2", "#009E73"), strict=True):
    ax.plot(sizes, curves[alpha][:, 1], color=colour, marker="o", label=f"alpha={alpha}")
ax.plot(sizes, curves[0][:, 0], color="#D55E00", linestyle=":", label="alpha=0, training")
ax.axvline(len(train), color="0.6", linewidth=1)
ax.text(1.05 * len(train), 1, "as many units as training clips", va="top", color="0.4")
ax.set_xscale("log")
ax.set_xticks([10, 30, 100, 300, 1000], ["10", "30", "100", "300", "1000"])
ax.set(xlabel="hidden units", ylabel="share of wrong answers", ylim=(0, 1))
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, loc="lower left")
plt.show()

# %%
# Without a penalty, more units help at first. Then the machine begins to memorise its training
# clips (dotted), and where it has just enough units for that, it is hardly better than chance:
# its weights are huge. With still more units it recovers. This is known as double descent [1]_.
#
# A penalty keeps the weights small and takes the peak away, if it is large enough: the hidden
# values grow with the number of features, and so should ``alpha``. With 1000 units it hardly
# matters here any more. Nobody needs to guess: `skaudio.compare.TunedELM` chooses size and penalty
# by cross-validation.
#
# .. [1] M. Belkin et al., "Reconciling modern machine-learning practice and the classical
#    bias-variance trade-off", PNAS 116(32), 2019, doi:10.1073/pnas.1903070116.
