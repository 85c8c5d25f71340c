"""
Many teachers of one encoder
============================

`skaudio.PASETransformer` learns from tasks that need no labels: its frames have to tell each of
several workers what it asks. How well do they learn, and what do the filters listen to afterwards?
"""

import matplotlib.pyplot as plt

from skaudio import PASETransformer
from skaudio.datasets import make_sounds
from skaudio.plotting import FilterBankDisplay, TrainingDisplay

sounds = make_sounds(96, random_state=0)

# %%
# To take only seconds, the encoder is smaller than ``size="tiny"``, and it has five workers. Three
# ask for the spectrum of the sound, in detail (``lps``), in bands (``fbank``) and as an envelope
# (``mfcc``). Two ask whether moments (``lim``) and halves of a crop (``gim``) are of the same clip.

pase = PASETransformer(
    layers=((24, 101, 10), (24, 8, 4), (32, 5, 2), (32, 5, 2)),
    n_features=32,
    workers=["lps", "fbank", "mfcc", "lim", "gim"],
    crop_seconds=0.4,
    batch_seconds=6.4,
    max_epochs=8,
    learning_rate=3e-3,
    validation_fraction=0.2,
    early_stopping=False,
    random_state=0,
).fit(sounds.data)

# %%
# The sum of their losses is what the encoder is trained on; each is a column of ``history_``. The
# same frames become better for all of them. Solid lines are of clips that were held out.

TrainingDisplay.from_estimator(pase).plot()
plt.show()

# %%
# The first layer is made of band-pass filters, of which only the edges are learnt. At first they
# are spaced evenly on the mel scale.

FilterBankDisplay.from_estimator(pase).plot()
plt.show()
