"""
A pipeline, a grid search, a confusion matrix
=============================================

Clips of differing lengths go into a pipeline as a plain list. The extractor is a step like any
other, so a grid search may choose among its parameters, and among those of the classifier behind
it.
"""

import matplotlib.pyplot as plt
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skaudio import RandomCNNTransformer
from skaudio.datasets import make_sounds

sounds = make_sounds(240, random_state=0)
lengths = [len(clip) / sounds.sample_rate for clip in sounds.data]
print(f"{len(lengths)} clips of {min(lengths):.1f} to {max(lengths):.1f} s")
print("classes:", ", ".join(sounds.target_names))

# %%
# The notes have ten pitches. The pitches of the first split's test part are held out; on the
# others, two designs and two penalties are compared. No pitch is on both sides of a fold either:
# the instrument is to be recognised on notes that were not in its training part.

train, test = sounds.splits[0]
X_train = [sounds.data[i] for i in train]
X_test = [sounds.data[i] for i in test]

cnn = RandomCNNTransformer(n_filters=16, sample_rate=sounds.sample_rate, random_state=0)
pipe = make_pipeline(cnn, StandardScaler(), SVC())
choices = {"randomcnntransformer__design": ["vgg", "temporal"], "svc__C": [1, 8]}
search = GridSearchCV(pipe, choices, cv=GroupKFold(3))
search.fit(X_train, sounds.target[train], groups=sounds.groups[train])

results = search.cv_results_
for setting, score in zip(results["params"], results["mean_test_score"], strict=True):
    design, C = setting.values()
    print(f"{design:10} C={C:<4} {score:.2f}")

# %%
# The pipeline with the best setting has been fitted to all training clips. These are its answers
# on the held-out pitches:

accuracy = search.score(X_test, sounds.target[test])
display = ConfusionMatrixDisplay.from_predictions(
    sounds.target[test],
    search.predict(X_test),
    display_labels=sounds.target_names,
    xticks_rotation="vertical",
    cmap="Blues",
    colorbar=False,
)
display.ax_.set_title(f"unheard pitches, accuracy {accuracy:.2f}")
display.figure_.set_layout_engine("constrained")
plt.show()
