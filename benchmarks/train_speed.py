"""How fast wav2vec trains: skaudio against a straightforward implementation.

    python benchmarks/train_speed.py

One update of the "tiny" network on 8 crops of 1 s, as `Wav2VecTransformer` does it by default
(12 steps, 10 negatives, InfoNCE, Adam), in four ways that give the same loss:

skaudio            what `fit` runs
gathered           the same network, but the negatives are gathered into one tensor (N, B, C, T)
                   and compared with the predictions step by step, as the published code does it
straightforward    that loss behind plain modules of torch: Conv1d, GroupNorm, ReLU
forward            skaudio's loss alone, without gradients

They are measured in turn. Shown are medians, and the time that the multiplications of the forward
pass alone would take at the rate of a large matrix product.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from compare import about
from torch import nn

from skaudio.networks.contrastive import Contrast, draw_negatives
from skaudio.networks.wav2vec import SIZES, Wav2Vec
from skaudio.training import CropBatch
from skaudio.training.contrastive import Prediction

CROPS, SAMPLES, NEGATIVES = 8, 465 + 97 * 160, 10  # 98 whole frames


def main():
    """Measure, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()
    lines = [*about(), ""]
    for threads in args.threads:
        torch.set_num_threads(threads)
        lines += [f"{threads} thread{'s' * (threads > 1)}", *_table(args.repeats), ""]
    text = "\n".join(lines)
    print(text)
    (Path(__file__).parent / "results" / "train_speed.txt").write_text(text, encoding="utf-8")


def _table(repeats):
    """Return lines of the measurements with the number of threads that is set."""
    wave = torch.randn(CROPS, SAMPLES, generator=torch.Generator().manual_seed(0))
    steps = {
        "skaudio": Prediction(new_network(), NEGATIVES, "infonce"),
        "gathered": Gathered(new_network()),
        "straightforward": Gathered(Plain()),
    }
    runs = {name: Step(task, wave) for name, task in steps.items()}
    losses = {name: run() for name, run in runs.items()}  # the first update is not timed
    for name, loss in losses.items():
        assert abs(loss / losses["skaudio"] - 1) < 1e-4, f"{name} computes something else: {losses}"
    runs["forward"] = torch.no_grad()(lambda: steps["skaudio"]())
    a = torch.randn(2048, 2048)
    runs["product"] = lambda: a @ a
    times = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - begin)
    median = {name: statistics.median(some) for name, some in times.items()}
    rate = 2 * 2048**3 / median.pop("product")
    limit = operations(new_network()) / rate
    for name, seconds in median.items():
        low, *_, high = statistics.quantiles(times[name], n=10)
        yield (
            f"  {name:16} {1e3 * seconds:6.0f} ms ({1e3 * low:.0f} to {1e3 * high:.0f}), "
            f"{1 / seconds:5.2f} a second, {seconds / limit:4.1f} x the forward arithmetic"
        )
    yield f"  forward arithmetic {1e3 * limit:.0f} ms at {rate / 1e9:.0f} GFLOP/s"
    for name in ("gathered", "straightforward"):
        yield f"  skaudio is {median[name] / median['skaudio']:.2f} x as fast as {name}"


def new_network():
    """Initialise the network that `Wav2VecTransformer(random_state=...)` trains by default."""
    encoder, aggregator, skip = SIZES["tiny"]
    network = Wav2Vec(encoder, aggregator, skip_aggregator=skip, n_steps=12)
    network.initialise(torch.Generator().manual_seed(0))
    return network


def operations(network):
    """Count the multiplications and additions of a forward pass over the batch."""
    n, total = SAMPLES, 0
    for block in network.encoder:
        n = (n - block.conv.kernel_size[0]) // block.conv.stride[0] + 1
        total += n * block.conv.weight.numel()
    total += n * sum(block.conv.weight.numel() for block in network.aggregator)
    return 2 * CROPS * (total + n * network.head["weight"].numel())


class Step:
    """An update of a network by Adam; called, it returns the loss per prediction."""

    def __init__(self, task, wave):
        ones = torch.full((len(wave),), 1 / len(wave))
        self.task, self.batch = task.train(), CropBatch(wave, ones, torch.arange(len(wave)))
        self.optimizer = torch.optim.Adam(task.parameters(), 2e-3, fused=True)
        task.generator.manual_seed(0)

    def __call__(self):
        self.optimizer.zero_grad()
        contrast = self.task(self.batch)
        loss = contrast.loss / contrast.n
        loss.backward()
        self.optimizer.step()
        return loss.item()


class Gathered(nn.Module):
    """The loss with its negatives in one tensor."""

    def __init__(self, network):
        super().__init__()
        self.network, self.generator = network, torch.Generator()

    def forward(self, batch):
        wave = batch.wave
        lengths = torch.full((len(wave),), wave.shape[1])
        z, lengths = self.network.encode(wave[:, None], lengths)
        predictions = self.network.predict(self.network.aggregate(z, lengths)[-1])
        negatives = draw_negatives(z.shape[2], len(z), NEGATIVES, self.generator)
        index = negatives.transpose(0, 1)[:, :, None].expand(-1, -1, z.shape[1], -1)
        every = z.expand(NEGATIVES, -1, -1, -1).gather(3, index)
        candidates = torch.cat([z[None], every])  # (1 + N, B, C, F)
        logits = []
        for step in range(predictions.shape[3]):
            first = self.network.offset + step
            prediction = predictions[:, :, : z.shape[2] - first, step]
            logits.append(torch.einsum("bct,nbct->btn", prediction, candidates[..., first:]))
        logits = torch.cat([some.flatten(0, 1) for some in logits])
        targets = torch.zeros(len(logits), dtype=torch.int64)
        n_correct = (logits.argmax(1) == 0).sum()
        return Contrast(F.cross_entropy(logits, targets, reduction="sum"), len(logits), n_correct)


class Plain(nn.Module):
    """The network of plain modules, with the same weights."""

    def __init__(self):
        super().__init__()
        network = new_network()
        encoder, aggregator, _ = SIZES["tiny"]
        self.offset, width = network.offset, 1
        self.encoder, self.aggregator = nn.Sequential(), nn.ModuleList()
        for dim, kernel, stride in encoder:
            conv = nn.Conv1d(width, dim, kernel, stride, bias=False)
            self.encoder.append(nn.Sequential(conv, nn.GroupNorm(1, dim), nn.ReLU()))
            width = dim
        for dim, kernel, stride in aggregator:
            pad = nn.ReplicationPad1d((kernel - 1, 0))
            conv = nn.Conv1d(width, dim, kernel, stride)
            self.aggregator.append(nn.Sequential(pad, conv, nn.GroupNorm(1, dim), nn.ReLU()))
            width = dim
        self.project = nn.ConvTranspose2d(width, width, (1, 12))
        ours = [*network.encoder.parameters(), *network.aggregator.parameters()]
        mine = [*self.encoder.parameters(), *self.aggregator.parameters()]
        ours += [network.head["weight"], network.head["bias"]]
        with torch.no_grad():
            for a, b in zip([*mine, *self.project.parameters()], ours, strict=True):
                a.copy_(b)

    def encode(self, wave, lengths):
        """Frames of waves."""
        return torch.log(self.encoder(wave).abs() + 1), lengths

    def aggregate(self, z, lengths):
        """Context of frames."""
        for layer in self.aggregator:
            z = (layer(z) + z) * 0.5**0.5
        return [z]

    def predict(self, c):
        """What follows each frame, step by step."""
        return self.project(c[..., None])


if __name__ == "__main__":
    main()
