"""
Feature maps of one clip
========================

A clip becomes one vector, but before that each layer of a network has a map of it over time.
"""

import matplotlib.pyplot as plt
import numpy as np

from skaudio import MFCCTransformer, RandomCNNTransformer
from skaudio.datasets import make_sounds
from skaudio.plotting import FeatureMapDisplay

sounds = make_sounds(80, random_state=0)
names = [sounds.target_names[label] for label in sounds.target]
notes = [sounds.data[names.index(name)] for name in ("piano", "organ", "strings", "bell")]
clip = np.concatenate(notes)
print(f"{len(clip) / sounds.sample_rate:.1f} s: a piano, an organ, strings, a bell")

# %%
# The coefficients of an MFCC extractor and their differences. A difference is large where a note
# begins, and nearly zero while it sounds.

mfcc = MFCCTransformer(n_deltas=1).fit([clip])
FeatureMapDisplay.from_estimator(mfcc, clip).plot()
plt.show()

# %%
# The five layers of ``"vgg"``. Nothing was trained, and still each of the four notes has a pattern
# of its own in the first three. Each layer pools the one before it, so its frames become longer
# and what it says is about more of the clip: the fourth blurs where the notes begin, and the fifth
# has two frames for all of them. A channel is one filter on one part of the mel axis.

cnn = RandomCNNTransformer(n_filters=16, random_state=0).fit([clip])
FeatureMapDisplay.from_estimator(cnn, clip).plot()
plt.show()

# %%
# ``transform_frames`` gives these maps as numbers, and ``frame_times`` the time of each frame.
# ``transform`` pools them: here into the mean, the deviation and the maximum of each channel.

(frames,) = cnn.transform_frames([clip])
print("frames:", frames.shape, " times:", cnn.frame_times(len(clip)).shape)
print("vector:", cnn.transform([clip]).shape)
