"""
Training on several GPUs
========================

Started by ``accelerate launch`` (or ``torchrun``), `fit` divides every batch among the processes,
one per GPU, and all of them have the same weights. The code is the same, except that only one
process should print and save::

    pip install accelerate
    accelerate launch --num_processes 2 share_training.py FOLDER-OF-RECORDINGS

``--cpu`` does it without a GPU. Without a folder the script trains on synthetic sounds.
"""

import argparse
import json
import os
from pathlib import Path

from skaudio import Wav2VecTransformer
from skaudio.datasets import make_sounds

parser = argparse.ArgumentParser()
parser.add_argument("folder", nargs="?", help="with .wav, .flac, .ogg or .mp3 files in it")
parser.add_argument("--params", type=json.loads, default={}, help="of the extractor, as JSON")
parser.add_argument("--out", help="folder to save the extractor in")
args = parser.parse_args()

if args.folder is None:
    clips = make_sounds(60, random_state=0).data
else:
    endings = {".wav", ".flac", ".ogg", ".mp3"}
    clips = [path for path in sorted(Path(args.folder).rglob("*")) if path.suffix in endings]

# the seed gives every process the same weights
wav2vec = Wav2VecTransformer(random_state=0).set_params(**args.params).fit(clips)

if int(os.environ.get("RANK", 0)) == 0:
    for row in wav2vec.history_:
        print(json.dumps(row))
    if args.out is not None:
        wav2vec.save(args.out)
