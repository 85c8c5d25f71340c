"""
Comparing extractors
====================

Which features suit these sounds? `skaudio.compare.compare_extractors` puts classifiers behind
extractors, under splits that keep groups apart, and gives a row for each pair. The command
``skaudio compare FOLDER`` does the same for recordings on disk.
"""

import matplotlib.pyplot as plt

from skaudio import MFCCTransformer, RandomCNNTransformer
from skaudio.compare import TunedELM, TunedSVM, compare_extractors, table_lines
from skaudio.datasets import make_sounds
from skaudio.plotting import ComparisonDisplay

sounds = make_sounds(160, random_state=0)
extractors = {"MFCC": MFCCTransformer()}
for design in ("vgg", "single", "timbral", "temporal", "sample_level"):
    extractors[design] = RandomCNNTransformer(design, n_filters=32)

# %%
# Both classifiers choose their settings inside each training part. The weights of the networks and
# the hidden layers of the ELM are initialised with three seeds. To save time, fewer settings than
# usual are tried.

classifiers = {
    "SVM": TunedSVM(C=(2, 8), gamma=("auto",)),
    "ELM": TunedELM(n_hidden=(250, 500), alpha=(10.0, 100.0)),
}
rows = compare_extractors(
    extractors,
    sounds.data,
    sounds.target,
    splits=sounds.splits,
    classifiers=classifiers,
    groups=sounds.groups,
    draws=3,
    data="instruments at unheard pitches",
)
rows = list(rows)
for line in table_lines(rows, width=12):
    print(line)

# %%
# The dashed line is chance, the whiskers are the standard deviation over the seeds. Here ``"vgg"``
# and ``"timbral"`` are better by more than that; MFCCs, ``"single"`` and ``"temporal"`` hardly
# differ. Single notes have little of the rhythm that ``"temporal"`` is for, and 32 filters are few
# for ``"single"``, whose default is 1024: this is a demonstration, not a ranking.

ComparisonDisplay.from_rows(rows).plot()
plt.show()
