"""How fast a WaveNet draws new sound, and how fast it trains.

    python benchmarks/generation.py

generation  Samples of all streams together per second, of networks with random weights. Ways:
            skaudio     compiled by numba
            torch       skaudio where numba is not installed
            modules     a plain loop of torch modules, with a queue for each layer
            naive       the whole receptive field for each sample, by the network that is trained;
                        for one stream
            All draw the same samples from the same uniform numbers, which is checked.
training    One update on crops, as `fit` does it, and by plain modules (one-hot input, two
            convolutions for a gate). The losses agree, which is checked, too.

The limit is the time that a processor needs at least, whichever is longer: to read the weights,
once for each thread and step, and the cached values of all streams, at the rate at which it sums an
array of this size again and again; or for the products, at the rate of one of large matrices.
With one thread, times are those of the processor.
"""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from _plain_wavenet import PlainWaveNet
from _timing import in_turn, product, set_threads
from compare import about
from numba import njit

from skaudio._engine.generation import Sampler
from skaudio.networks.wavenet import SIZES, WaveNet

THIRTY = tuple(2**i for i in range(10)) * 3
NETWORKS = {
    "tiny": SIZES["tiny"],
    "30 layers, 32/32/256": {"dilations": THIRTY},
    "r9y9": SIZES["r9y9"],
}
STREAMS = (1, 8, 64)
OURS, FALLBACK, MODULES, NAIVE = "skaudio", "torch", "modules", "naive"
ROUND = 0.3  # seconds that a way takes in a round, about
CHECKED = 20  # samples on which all ways must agree
CROPS = {"tiny": (1, 4000), "30 layers, 32/32/256": (4, 8192), "r9y9": (1, 8192)}


def main():
    """Measure, print the tables and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=QUESTIONS, default=[*QUESTIONS])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=[*NETWORKS])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=8, help="for the rounds of each line")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    lines = [*about(), f"Seed: {args.seed}.", "", *_first_call(args)]
    for question in args.only:
        lines += ["", f"## {question.capitalize()}", ""]
        for line in QUESTIONS[question](args):
            print(line, flush=True)
            lines.append(line)
    (args.out / "generation.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _first_call(args):
    """What it takes until the first compiled sample: processor time, code on disk or not."""
    begin = time.process_time()
    Sampler(_network(args.networks[0], args.seed).stack(), 1, engine="compiled").draw([[[0.5]]])
    seconds = time.process_time() - begin
    yield f"First compiled sample after {seconds:.1f} s of processor time."


def _network(name, seed):
    network = WaveNet(**NETWORKS[name])
    network.initialise(torch.Generator().manual_seed(seed))
    return network


# --- generation ----------------------------------------------------------------------------------


def _generation(args):
    yield (
        "| network | streams | threads | skaudio, samples/s | range | / torch | / modules "
        "| / naive | limit, samples/s | by | share |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|---:|"
    for name in args.networks:
        network = _network(name, args.seed)
        for n_streams in STREAMS:
            for threads in args.threads:
                set_threads(threads)
                yield _line(name, network, n_streams, args)


def _line(name, network, n_streams, args):
    """Measure all ways to draw some streams, with the number of threads that is set."""
    threads = torch.get_num_threads()
    clock = time.process_time if threads == 1 else time.perf_counter
    ways = _ways(network, n_streams, args.seed)
    numbers = np.random.default_rng(args.seed).random((1 << 17, n_streams, 1), np.float32)
    ns = {way: min(_n_steps(draw, numbers), len(numbers)) for way, draw in ways.items()}
    calls = {way: partial(draw, numbers[: ns[way]]) for way, draw in ways.items()}
    timings = in_turn(calls, args.seconds, clock)
    rate = {way: ns[way] * n_streams / timing.median for way, timing in timings.items()}
    ends = [ns[OURS] * n_streams / t for t in (timings[OURS].high, timings[OURS].low)]
    limit, by = _limit(network.stack(), n_streams, min(threads, n_streams), clock)
    times = (f"{rate[OURS] / rate[w]:.1f}" if w in rate else "" for w in (FALLBACK, MODULES, NAIVE))
    cells = (name, n_streams, threads, f"{rate[OURS]:.0f}", "{:.0f} to {:.0f}".format(*ends),
             *times, f"{limit:.0f}", by, f"{rate[OURS] / limit:.2f}")  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def _ways(network, n_streams, seed):
    """Functions that draw by uniform numbers (n, B, 1), all the same samples at first."""
    stack, plain = network.stack(), PlainWaveNet(network)
    ways = {
        OURS: Sampler(stack, n_streams, engine="compiled").draw,
        FALLBACK: Sampler(stack, n_streams, engine="torch").draw,
        MODULES: plain.generate,
    }
    begin = torch.zeros(n_streams, 0, dtype=torch.int64)
    if n_streams == 1:
        ways[NAIVE] = partial(_naive, network, begin)
    uniforms = np.random.default_rng(seed + 1).random((CHECKED, n_streams, 1))
    for way, draw in ways.items():
        same = np.array_equal(draw(uniforms), ways[MODULES](uniforms)) if way != OURS else True
        assert same, f"{way} draws other samples"
    if n_streams == 1:  # as soon as there is a receptive field, it is read for each sample
        ways[NAIVE] = partial(_naive, network, begin.new_zeros(1, network.receptive_field))
    return ways


@torch.inference_mode()
def _naive(network, codes, uniforms):
    """Samples that follow the codes, each from a forward pass over all that it depends on."""
    n = codes.shape[1]
    for u in torch.from_numpy(uniforms):
        # the last prediction is that of a sample that is not there yet
        window = F.pad(codes[:, -network.receptive_field :], (0, 1))
        below = torch.softmax(network.predictions(window)[..., -1], 1).cumsum(1)
        codes = torch.cat([codes, (below[:, :-1] <= u).sum(1, keepdim=True)], 1)
    return codes[:, n:].numpy()


def _n_steps(draw, numbers):
    """How many samples a way draws in about `ROUND` seconds."""
    n = 1
    while True:
        begin = time.process_time()
        draw(numbers[:n])
        seconds = time.process_time() - begin
        if seconds > ROUND / 8 or n >= len(numbers):
            return max(1, round(n * ROUND / seconds))
        n *= 4


def _limit(stack, n_streams, n_groups, clock):
    """Samples per second that this machine could draw at best, and what limits them."""
    matrices = stack.gates, stack.skip, stack.residual, stack.head, stack.out
    biases = stack.gate_bias, stack.residual_bias, stack.head_bias, stack.out_bias
    n_weights = sum(array.size for array in matrices)
    n_layers, n_taps, width, _ = stack.gates.shape
    # each thread reads all weights, and one row of the table for each tap of the first convolution
    n_read = n_groups * (n_weights + sum(array.size for array in biases))
    n_read += n_streams * width * (len(stack.first) + n_layers * n_taps)
    own, times = np.ones(n_read // n_groups, np.float32), 1 + (1 << 30) // n_read

    def read():
        with ThreadPoolExecutor(n_groups) as pool:
            return [*pool.map(_sum, [own] * n_groups, [times] * n_groups)]

    best = in_turn({"read": read, "product": product(torch.float32, 2048)}, 1, clock)
    seconds = {
        "memory": best["read"].low / times,
        "arithmetic": best["product"].low * n_streams * n_weights / 2048**3,
    }
    by = max(seconds, key=seconds.get)
    return n_streams / seconds[by], by


@njit(nogil=True, fastmath=True)
def _sum(values, times):
    total = np.float32(0)
    for _ in range(times):
        for i in range(len(values)):
            total += values[i]
    return total


# --- training ------------------------------------------------------------------------------------


def _training(args):
    yield "| network | crops | threads | skaudio, s | range | modules / skaudio |"
    yield "|---|---|---:|---:|---:|---:|"
    for name in args.networks:
        n_clips, n_samples = CROPS[name]
        network = _network(name, args.seed)
        generator = torch.Generator().manual_seed(args.seed)
        codes = torch.randint(network.n_classes, (n_clips, n_samples), generator=generator)
        updates = {OURS: Update(network, codes), MODULES: Update(PlainWaveNet(network), codes)}
        ours, plain = (update() for update in updates.values())
        assert abs(ours / plain - 1) < 1e-4, f"the losses differ: {ours}, {plain}"
        for threads in args.threads:
            set_threads(threads)
            clock = time.process_time if threads == 1 else time.perf_counter
            timings = in_turn(updates, args.seconds, clock)
            ratio, ours = timings[MODULES].median / timings[OURS].median, timings[OURS]
            yield (
                f"| {name} | {n_clips} of {n_samples} | {threads} | {ours.median:.2f} "
                f"| {ours.low:.2f} to {ours.high:.2f} | {ratio:.2f} |"
            )


class Update:
    """An update of a network by Adam; called, it returns the loss in nats per sample."""

    def __init__(self, network, codes):
        self.network, self.codes = network.train(), codes
        self.optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=True)

    def __call__(self):
        self.optimizer.zero_grad()
        if isinstance(self.network, WaveNet):
            loss = -self.network.log_prob(self.network.predictions(self.codes), self.codes).mean()
        else:
            loss = F.cross_entropy(self.network(self.codes), self.codes)
        loss.backward()
        self.optimizer.step()
        return loss.item()


QUESTIONS = {"generation": _generation, "training": _training}

if __name__ == "__main__":
    main()
