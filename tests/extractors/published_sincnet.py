"""Published checkpoints of SincNet, small ones, and what their scripts make of a clip."""

import numpy as np

from skaudio import SincNetTransformer
from tests.networks.test_sincnet_network import by_hand, standardised
from tests.pretrained.test_sincnet_files import DENSE, PARTS, SETTINGS, SMALL, theirs

CHUNK, HOP = 800, 160


class ByHand:
    """Decisions of a published checkpoint in float64, as its scripts make them."""

    def __init__(self, size, old, state):
        _, self.rate, conv, dense = SETTINGS[size]
        self.state, self.named = state, theirs(state, old, self.rate)
        self.arguments = {
            **SMALL,
            "sample_rate": self.rate,
            "form": "2018" if old else "2019",
            "dense": DENSE,
            "conv_activation": conv,
            "dense_activations": dense,
        }

    def chunks(self, clip, hop, rounding):
        clip = clip.astype(np.float64) / max(np.abs(clip).max(), 1e-300)
        n = 0
        if rounding == "floor":
            n = (len(clip) - CHUNK) // hop
        else:
            while n * hop + CHUNK < len(clip):
                n += 1
        # clips without any chunk by the rule have their first one
        return np.stack([clip[i * hop : i * hop + CHUNK] for i in range(max(n, 1))])

    def vectors(self, chunks):
        return by_hand(self.named, chunks, self.arguments)

    def d_vector(self, clip, hop, heard=0.1):
        chunks = self.chunks(clip, hop, "floor")
        energy = (chunks**2).sum(1)
        loud = chunks[energy > heard * energy.mean()] if energy.any() else chunks[:1]
        vectors = self.vectors(loud)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).mean(0), len(loud)

    def log_posteriors(self, clip, hop):
        w = {name: tensor.double().numpy() for name, tensor in self.state[PARTS[2]].items()}
        x = self.vectors(self.chunks(clip, hop, "ceil"))
        if "ln0.gamma" in w:
            x = standardised(x, w["ln0.gamma"], w["ln0.beta"])
        x = x @ w["wx.0.weight"].T + w["wx.0.bias"]
        return x - np.log(np.exp(x).sum(1, keepdims=True))


def softmax(x):
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


def load(path, size="timit", **params):
    rate = SETTINGS[size][1]
    params = {"hop_seconds": HOP / rate, "random_state": 0, **params}
    return SincNetTransformer(size, pretrained=path, sample_rate=rate, **params)
