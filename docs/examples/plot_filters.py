"""
First-layer filters of the designs
==================================

What does an untrained network listen to? Its filters are noise, so the shapes of the filters
decide. This is what the designs differ in.
"""

import matplotlib.pyplot as plt
import numpy as np

from skaudio import MFCCTransformer, RandomCNNTransformer
from skaudio.plotting import FilterBankDisplay

silence = [np.zeros(16000)]  # the weights do not depend on the clips


def show(design, n_filters=16):
    """Draw the filters of a design."""
    cnn = RandomCNNTransformer(design, n_filters=n_filters, random_state=0).fit(silence)
    FilterBankDisplay.from_estimator(cnn).plot()


# %%
# On the spectrogram
# ------------------
# ``"vgg"`` begins with filters of 3 frames by 3 mel bands. They see a small patch, wherever it is
# on the spectrogram; larger patterns are left to the layers above.

show("vgg")
plt.show()

# %%
# The filters of ``"single"`` span 7 frames, 0.11 s, and 86 of the 96 mel bands: each is a
# template of a whole spectrum that may shift by a few bands.

show("single")
plt.show()

# %%
# ``"timbral"`` has six shapes side by side, of one to seven frames and of 38 or 86 bands.

show("timbral", 4)
plt.show()

# %%
# The filters of ``"temporal"`` see no frequency at all. They run along the mean of all bands over
# 32 to 165 frames, 0.5 to 2.6 s, which is where a rhythm is.

show("temporal", 4)
plt.show()

# %%
# On the wave
# -----------
# ``"frame_level"`` has filters of 512 samples. A picture of frequencies says more about them than
# their course in time: each responds to many frequencies at once, some a little more than others.

show("frame_level", 32)
plt.show()

# %%
# Designed filters, for comparison: the mel bands of an MFCC extractor divide the frequencies among
# themselves.

FilterBankDisplay.from_estimator(MFCCTransformer(n_mels=24).fit(silence)).plot()
plt.show()
