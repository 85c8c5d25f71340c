"""Profile of a network: the operations of torch by their own time.

    python benchmarks/where.py vgg single timbral_temporal

One clip of 29 s of noise by one thread, in both precisions, each design at its defaults.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from compare import about
from torch.profiler import ProfilerActivity, profile

from skaudio import RandomCNNTransformer

SHOWN = 8  # operations


def main():
    """Profile, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("designs", nargs="+")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng, lines = np.random.default_rng(0), [*about()]
    clips = [rng.standard_normal(29 * 16000).astype(np.float32)]
    for design in args.designs:
        for precision in ("float32", "bfloat16"):
            cnn = RandomCNNTransformer(design, precision=precision, random_state=0).fit(clips)
            lines += ["", f"{design}, {precision}", *_operations(cnn, clips)]
    text = "\n".join(lines) + "\n"
    print(text)
    (Path(__file__).parent / "results" / "where.txt").write_text(text, encoding="utf-8")


def _operations(extractor, clips):
    """Return a line for each of the costliest operations, and one for all."""
    extractor.transform(clips)
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as seen:
        extractor.transform(clips)
    events = sorted(
        seen.key_averages(group_by_input_shape=True), key=lambda e: -e.self_cpu_time_total
    )
    total = sum(event.self_cpu_time_total for event in events)
    yield f"  {total / 1e3:7.1f} ms in all"
    for event in events[:SHOWN]:
        shapes = [shape for shape in event.input_shapes if shape]
        own = event.self_cpu_time_total
        yield f"  {own / 1e3:7.1f} ms {100 * own / total:3.0f} %  {event.key} {shapes}"


if __name__ == "__main__":
    main()
