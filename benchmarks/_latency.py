"""How long one short clip takes, beside the bare modules that it goes through."""

import numpy as np
import torch
from _timing import Timing, in_turn

from skaudio import MFCCTransformer, RandomCNNTransformer, VQTransformer, Wav2VecTransformer
from skaudio.networks.designs import DESIGNS
from skaudio.pooling import pool

SECONDS = 0.5


def extractors():
    """Return what is measured.

    Returns
    -------
    extractors : dict of str to BaseAudioTransformer
        With their defaults, and weights that nobody trained.
    """
    found = {"MFCC": MFCCTransformer()}
    found |= {design: RandomCNNTransformer(design, random_state=0) for design in DESIGNS}
    for size in ("tiny", "large"):
        found[f"wav2vec {size}"] = Wav2VecTransformer(size, max_epochs=0, random_state=0)
    found["VQ tiny"] = VQTransformer(max_epochs=0, random_state=0)
    return found


def latency(calls, ours):
    """Time `transform` of one clip of half a second.

    Parameters
    ----------
    calls : int
        How many calls are timed together.
    ours : str
        Name of the way of skaudio.

    Yields
    ------
    work : str
        The extractor.
    timings : dict of str to Timing
        Of one call.
    limit : float
        Seconds of front-end, network and pooling called directly, with tensors ready.
    """
    rng = np.random.default_rng(0)
    for name, extractor in extractors().items():
        clip = rng.standard_normal(int(SECONDS * extractor.sample_rate), dtype=np.float32)
        extractor.set_params(device="cpu").fit([clip])
        forward = extractor._ready(extractor.pooling)
        wave, lengths = torch.from_numpy(clip)[None], torch.tensor([len(clip)])

        def whole(extractor=extractor, clip=clip):
            for _ in range(calls):
                extractor.transform([clip])

        @torch.inference_mode()
        def bare(forward=forward, wave=wave, lengths=lengths):
            for _ in range(calls):
                outputs = forward.network(*forward.frontend(wave, lengths))
                torch.cat([pool(*output, forward.pooling) for output in outputs], dim=1)

        timings = in_turn({ours: whole, "modules": bare})
        timings = {way: Timing(*(t / calls for t in timing)) for way, timing in timings.items()}
        yield f"{name}, {SECONDS:g} s", timings, timings.pop("modules").median
