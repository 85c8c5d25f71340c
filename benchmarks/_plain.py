"""The networks of skaudio as a user would write them from the papers, in plain torch.

They are what skaudio is measured against, in its features and its speed. All clips of a batch have
one length, long enough for every layer. Parameters that ask for less or more than the networks
themselves (``layers``, ``fixed_length``, ``reference``, ``pretrained``, ``features``, ``output``)
are not here: all maps of a random network are used, and the context of the others.

Sources: Pons & Serra, arXiv:1805.00237, with the front-end of Pons et al., arXiv:1711.02520;
wav2vec, arXiv:1904.05862; vq-wav2vec, arXiv:1910.05453.
"""

import librosa
import torch
import torch.nn.functional as F
from torch import nn

from skaudio.networks.designs import DESIGNS

POOLS = {
    "mean": lambda x: x.mean(-1),
    "std": lambda x: x.std(-1, correction=0),
    "max": lambda x: x.amax(-1),
}


def plain(extractor):
    """Build the network of an extractor, with its weights.

    Parameters
    ----------
    extractor : RandomCNNTransformer, Wav2VecTransformer or VQTransformer
        Fitted; ``pooling`` is one of mean, std and max, or several joined by "_". The quantiser
        is "gumbel" or "kmeans".

    Returns
    -------
    network : Pooled
        Inputs as `read` gives them, in a batch -> features (B, D), float32.
    """
    make = _random_cnn if hasattr(extractor, "design") else _wav2vec
    network = make(extractor)
    # in both each module has its kernel first, and the modules stand in forward order
    used = [w for name, w in extractor.weights_.items() if not name.startswith("head.")]
    state = zip(network.state_dict(), map(torch.tensor, used), strict=True)
    network.load_state_dict(dict(state))
    return Pooled(network, extractor.pooling.split("_"))


def read(extractor, wave):
    """Turn a wave into what the network of an extractor reads, by librosa.

    Parameters
    ----------
    extractor : RandomCNNTransformer, Wav2VecTransformer or VQTransformer
        ``normalize``, if it has that, is None or "clip".
    wave : ndarray of shape (n_samples,), float32
        A clip at its sample rate.

    Returns
    -------
    x : ndarray of shape (n_samples,) or (n_mels, n_frames), float32
        The wave or its log-mel spectrogram in dB; standardised if the extractor does.
    """
    if not hasattr(extractor, "design"):
        return wave
    if extractor.design not in ("sample_level", "frame_level", "frame_level_many"):
        power = librosa.feature.melspectrogram(
            y=wave,
            sr=extractor.sample_rate,
            n_fft=extractor.n_fft,
            hop_length=extractor.hop_length,
            n_mels=extractor.n_mels,
            fmin=extractor.fmin,
            fmax=extractor.fmax,
            pad_mode="reflect",
        )
        wave = librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=extractor.top_db)
    return wave if extractor.normalize is None else (wave - wave.mean()) / wave.std()


class Pooled(nn.Module):
    """Maps of a network pooled over time: for each map, its parts one after the other."""

    def __init__(self, network, parts):
        super().__init__()
        self.network, self.parts = network.eval(), parts

    @torch.inference_mode()
    def forward(self, x):
        return torch.cat([POOLS[part](m) for m in self.network(x) for part in self.parts], dim=1)


def _random_cnn(extractor):
    design = extractor.design
    n = extractor.n_filters or DESIGNS[design].n_filters
    if design == "vgg":
        return VGG(n, extractor.pools, extractor.n_bands)
    if design == "single":
        return Single(n, extractor.kernel)
    if design == "sample_level":
        return SampleLevel(n)
    if design.startswith("frame_level"):
        return FrameLevel(n, many=design == "frame_level_many")
    blocks = design.split("_")
    return TimbralTemporal(n, extractor.n_mels, extractor.temporal_kernels, blocks)


def _image(x):
    """Spectrograms (B, F, T) as images (B, 1, T, F)."""
    return x.transpose(1, 2)[:, None]


class VGG(nn.Module):
    """Five blocks of 3 x 3 convolution, ELU and max-pooling."""

    def __init__(self, n, pools, n_bands):
        super().__init__()
        self.pools, self.n_bands = pools, n_bands
        widths = [1, n, n, n, n]
        self.convs = nn.ModuleList(nn.Conv2d(width, n, 3, padding=1) for width in widths)

    def forward(self, x):
        x, maps = _image(x), []
        for conv, (time, mel) in zip(self.convs, self.pools, strict=True):
            x = F.elu(conv(x))
            x = F.max_pool2d(x, (min(time, x.shape[2]), min(mel, x.shape[3])))
            bands = F.adaptive_avg_pool2d(x, (x.shape[2], min(self.n_bands, x.shape[3])))
            maps.append(bands.permute(0, 3, 1, 2).flatten(1, 2))
        return maps


class Single(nn.Module):
    """One convolution with tall filters."""

    def __init__(self, n, kernel):
        super().__init__()
        self.conv = nn.Conv2d(1, n, kernel)

    def forward(self, x):
        return [F.relu(self.conv(_image(x))).amax(3)]


class TimbralTemporal(nn.Module):
    """Six tall filter shapes, and four long ones over the mean of the bands."""

    def __init__(self, n, n_mels, temporal_kernels, blocks):
        super().__init__()
        self.blocks = nn.ModuleDict()
        if "timbral" in blocks:
            self.blocks["timbral"] = nn.ModuleList(
                nn.Conv2d(1, count * n, (width, int(height * n_mels)), padding=(width // 2, 0))
                for height in (0.9, 0.4)
                for width, count in ((7, 1), (3, 2), (1, 4))
            )
        if "temporal" in blocks:
            self.blocks["temporal"] = nn.ModuleList(
                nn.Sequential(
                    nn.ZeroPad1d(((kernel - 1) // 2, kernel // 2)),
                    nn.Conv1d(1, count * n - n // 4, kernel),
                )
                for kernel, count in zip(temporal_kernels, (1, 2, 4, 8), strict=True)
            )

    def forward(self, x):
        maps = []
        for block, convs in self.blocks.items():
            if block == "timbral":
                branches = [F.relu(conv(_image(x))).amax(3) for conv in convs]
            else:
                branches = [F.relu(conv(x.mean(1, keepdim=True))) for conv in convs]
            maps.append(torch.cat(branches, dim=1))
        return maps


class SampleLevel(nn.Module):
    """A convolution of 3 samples and stride 3, then six of width 3 with max-pooling 3."""

    def __init__(self, n):
        super().__init__()
        self.first = nn.Conv1d(1, n, 3, stride=3)
        self.others = nn.ModuleList(nn.Conv1d(n, n, 3, padding=1) for _ in range(6))

    def forward(self, x):
        maps = [F.relu(self.first(x[:, None]))]
        for conv in self.others:
            maps.append(F.max_pool1d(F.relu(conv(maps[-1])), 3))
        return maps


class FrameLevel(nn.Module):
    """One long strided filter length or five, then three convolutions with two shortcuts."""

    def __init__(self, n, many):
        super().__init__()
        self.many, kernels = many, (512, 256, 128, 64, 32) if many else (512,)
        self.front = nn.ModuleList(nn.Conv1d(1, n, kernel, stride=32) for kernel in kernels)
        self.one = nn.Conv1d(len(kernels) * n, n, 7)
        self.two = nn.Conv1d(n, n, 7, padding=3)
        self.three = nn.Conv1d(n, n, 7, padding=3)

    def forward(self, x):
        front = [F.relu(conv(self._padded(x[:, None], conv))) for conv in self.front]
        first = F.relu(self.one(torch.cat(front, dim=1)))
        second = F.relu(self.two(first)) + first
        pooled = F.max_pool1d(second, 2)
        third = F.relu(self.three(pooled)) + pooled
        return [*front, first, second, third]

    def _padded(self, x, conv):
        if not self.many:
            return x
        # "same" of TensorFlow: as many frames as strides begin in the clip, zeros on both sides
        n_frames = -(-x.shape[2] // 32)
        total = max((n_frames - 1) * 32 + conv.kernel_size[0] - x.shape[2], 0)
        return F.pad(x, (total // 2, total - total // 2))


def _wav2vec(extractor):
    arguments = extractor.architecture_
    quantizer, dim = arguments["quantizer"], arguments["encoder_layers"][-1][0]
    if quantizer is not None:
        kind = {"gumbel": Gumbel, "kmeans": KMeans}[quantizer["kind"]]
        quantizer = kind(dim, quantizer["n_codes"], quantizer["n_groups"])
    return Wav2Vec(
        arguments["encoder_layers"],
        arguments["aggregator_layers"],
        arguments["skip_aggregator"],
        quantizer,
    )


class Wav2Vec(nn.Module):
    """Encoder, quantiser if there is one, and aggregator; the map is the context.

    Parameters
    ----------
    encoder_layers, aggregator_layers : sequence of (dim, kernel, stride)
        Convolutions.
    skip : bool
        Whether a layer of the aggregator adds its input.
    quantizer : Module or None
        Frames (B, C, T) -> vectors (B, C, T).
    """

    def __init__(self, encoder_layers, aggregator_layers, skip, quantizer=None):
        super().__init__()
        self.skip, width = skip, 1
        self.encoder = nn.Sequential()
        for dim, kernel, stride in encoder_layers:
            conv = nn.Conv1d(width, dim, kernel, stride, bias=False)
            self.encoder.append(nn.Sequential(conv, nn.GroupNorm(1, dim), nn.ReLU()))
            width = dim
        self.quantizer = quantizer
        self.aggregator = nn.ModuleList()
        for dim, kernel, _ in aggregator_layers:
            pad = nn.ReplicationPad1d((kernel - 1, 0))
            conv = nn.Conv1d(width, dim, kernel)
            self.aggregator.append(nn.Sequential(pad, conv, nn.GroupNorm(1, dim), nn.ReLU()))
            width = dim

    def forward(self, x):
        x = torch.log(self.encoder(x[:, None]).abs() + 1)
        if self.quantizer is not None:
            x = self.quantizer(x)
        for layer in self.aggregator:
            x = (layer(x) + x) * 0.5**0.5 if self.skip else layer(x)
        return [x]


class Gumbel(nn.Module):
    """Quantiser that takes the vector of the highest logit, in each group of channels."""

    def __init__(self, dim, n_codes, n_groups):
        super().__init__()
        self.shape = n_groups, n_codes
        self.table = nn.Parameter(torch.empty(1, n_groups * n_codes, dim // n_groups))
        self.logits = nn.Linear(dim, n_groups * n_codes)

    def forward(self, z):
        logits = self.logits(z.transpose(1, 2)).unflatten(2, self.shape)
        choice = F.one_hot(logits.argmax(3), self.shape[1]).float()
        vectors = torch.einsum("btgv,gvd->btgd", choice, self.table[0].unflatten(0, self.shape))
        return vectors.flatten(2).transpose(1, 2)


class KMeans(nn.Module):
    """Quantiser that projects frames and takes the nearest vector, in each group of channels."""

    def __init__(self, dim, n_codes, n_groups):
        super().__init__()
        self.table = nn.Parameter(torch.empty(n_codes, n_groups, dim // n_groups))
        conv = nn.Conv1d(dim, dim, 1, groups=n_groups, bias=False)
        self.projection = nn.Sequential(conv, nn.GroupNorm(n_groups, dim))

    def forward(self, z):
        table = self.table.transpose(0, 1)  # (G, V, D)
        frames = self.projection(z).unflatten(1, (len(table), -1)).transpose(2, 3)  # (B, G, T, D)
        codes = torch.cdist(frames, table[None]).argmin(3)
        vectors = torch.stack([table[g][codes[:, g]] for g in range(len(table))], dim=1)
        return vectors.transpose(2, 3).flatten(1, 2)
