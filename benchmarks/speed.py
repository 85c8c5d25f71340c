"""How fast skaudio is, compared with its alternatives and with the limits of the machine.

    SKAUDIO_DATA=path/to/the/sets python benchmarks/speed.py

machine    Rates of products of 4096 x 4096 matrices, of convolutions, of copying.
networks   Networks from wave to features: the designs of Pons & Serra in the paper's larger size,
           the default, and wav2vec with random weights, on a clip of 29 s of music (emotify_genres)
           for each thread; beside plain torch modules and, where --keras names its Python, Keras,
           which is given the spectrogram. Limit: the arithmetic at the rate of a product.
gpu        Two large networks on a GPU, if there is one, and how much features differ from those
           of the CPU. Limit: the arithmetic at the rate of a product there, in bfloat16.
mfcc       120 features of clips at 12 kHz in memory. Limit: the bare Fourier transforms.
files      From sound files to MFCCs and to other features. Limit: decoding and resampling.
training   A step of `Wav2VecTransformer.fit`. Limit: arithmetic of its forward pass.
elm        `ELMClassifier.fit`. Limit: its arithmetic at the rate of a product in float64.
latency    `transform` of one clip of half a second. Limit: the bare modules, called directly.
overhead   `transform` of many short clips. Limit: the network's own time in the same batches.
start      A new Python, from import to the first features. Limit: ``import torch``.

Different ways to compute the same are measured in turn; shown are medians and ranges in seconds.
"""

import argparse
import copy
import json
import math
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import _plain
import _rivals
import _sets
import _timing
import librosa
import numpy as np
import torch
import train_speed
from _latency import latency
from _rows import other_rows, write_rows
from _speed_report import COLUMNS, LOWER, OURS, PLAIN, plot, report, works
from _timing import Timing, convolution, in_turn, product, set_threads
from compare import about
from joblib import Parallel, delayed
from torch.utils.flop_counter import FlopCounterMode

from skaudio import (
    ELMClassifier,
    MFCCTransformer,
    RandomCNNTransformer,
    VQTransformer,
    Wav2VecTransformer,
    read_audio,
)
from skaudio.training.contrastive import Prediction

FULL = {
    "seconds": 29,
    "many": 64,
    "clips": 400,
    "each": 20,
    "elm": (60_000, 784, 2000),
    "short": 10_000,
}
QUICK = {"seconds": 3, "many": 3, "clips": 4, "each": 200, "elm": (500, 20, 50), "short": 50}
GEMM = 4096  # rows of the matrices
KERAS = ("vgg", "sample_level", "single", "timbral_temporal", "frame_level", "frame_level_many")
START = """
import numpy as np
{}
wave = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
{}
"""


def main():
    """Measure, and write table, rows and picture."""
    args = _arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "speed.csv"
    rows = other_rows(path, args.only)
    for threads in args.threads:
        set_threads(threads)
        for question in args.only:
            for work, timings, limit in QUESTIONS[question](threads, args):
                for way, timing in timings.items():
                    values = (question, work, threads, way, *timing, limit)
                    rows.append(dict(zip(COLUMNS, values, strict=True)))
                    print(*values[:4], *(f"{value:.3g}" for value in values[4:]), flush=True)
    write_rows(path, COLUMNS, rows)
    rows.sort(key=lambda row: [*QUESTIONS].index(row["question"]))
    text = "\n".join([*about(), *report(works(rows))]) + "\n"
    print(text)
    (args.out / "speed.md").write_text(text, encoding="utf-8")
    plot(works(rows)).savefig(args.out / "speed.png", dpi=120)


def _arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=QUESTIONS, default=[*QUESTIONS],
                        help="what to measure; other rows of an earlier run stay")  # fmt: skip
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--keras", help="a Python that has requirements-keras.txt")
    parser.add_argument("--gpu", default="cuda" if torch.cuda.is_available() else None,
                        help="the device of the question gpu")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try the script")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    args.sizes = QUICK if args.quick else FULL
    if args.quick:
        _timing.MOST = _timing.LEAST
    return args


def _machine(threads, args):
    """Rates of products, of a convolution, and of copying."""
    n = GEMM // 8 if args.quick else GEMM
    dtypes = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}
    for name, dtype in dtypes.items():
        yield f"{name} product, GFLOP/s", *_rate(product(dtype, n), 2 * n**3)
    for name in ("float32", "bfloat16"):
        yield (
            f"{name} convolution, GFLOP/s",
            *_rate(convolution(dtypes[name], steps=n), 6 * n * 512**2),
        )
    a, b = torch.ones(2, 1 << 26)
    yield "copying, GB/s", *_rate(lambda: b.copy_(a), 2 * a.nbytes)


def _rate(way, amount):
    times = in_turn({"rate": way}, seconds=2)["rate"]
    rates = (amount / 1e9 / t for t in (times.median, times.high, times.low))
    return {"rate": Timing(*rates)}, math.nan


def _networks(threads, args):
    seconds, paper = args.sizes["seconds"], {"fixed_length": None, "random_state": 0}
    drawn = {"max_epochs": 0, "random_state": 0, "pooling": "mean"}
    extractors = {
        "vgg 64, the default": RandomCNNTransformer(random_state=0),
        f"the same, {args.sizes['many']} clips": RandomCNNTransformer(random_state=0),
    }
    for design in KERAS:
        cnn = RandomCNNTransformer.from_paper(design, 60 if args.quick else 3585, **paper)
        extractors[f"{design} {cnn.n_filters}"] = cnn
    extractors["wav2vec large"] = Wav2VecTransformer("tiny" if args.quick else "large", **drawn)
    extractors["vq-wav2vec"] = VQTransformer(
        "kmeans", size="tiny" if args.quick else "base", **drawn
    )
    for name, extractor in extractors.items():
        n_clips = args.sizes["many"] if name.startswith("the same") else threads
        clips = _music(n_clips, seconds, extractor.sample_rate)
        extractor.set_params(device="cpu").fit(clips)
        lower = copy.deepcopy(extractor).set_params(precision="bfloat16")
        front, plain = _front_end(extractor), _plain.plain(extractor)
        wave = torch.from_numpy(np.stack(clips))
        with FlopCounterMode(display=False) as counter:
            plain(front(wave))
        ways = {
            OURS: partial(extractor.transform, clips),
            LOWER: partial(lower.transform, clips),
            PLAIN: lambda plain=plain, front=front, wave=wave: plain(front(wave)),
        }
        timings, rate = _with_product(ways, torch.float32, args)
        if args.keras and name.split()[0] in KERAS and extractor.pooling == "mean":
            timings["Keras"] = _keras(args.keras, extractor, front(wave), threads)
        yield name, timings, counter.get_total_flops() / rate


def _music(n_clips, seconds, sample_rate):
    """Return clips of one length, from the beginnings of so many files."""
    files = _sets.load("emotify_genres").data
    clips = [read_audio(file, sample_rate) for file in files[:: len(files) // n_clips][:n_clips]]
    return [np.resize(clip, seconds * sample_rate) for clip in clips]


def _with_product(ways, dtype, args, device="cpu", **options):
    """Timings of ways, and operations per second of a product measured in turn with them."""
    n = GEMM // 8 if args.quick else GEMM
    timings = in_turn({**ways, "product": product(dtype, n, device)}, **options)
    return timings, 2 * n**3 / timings.pop("product").median


def _gpu(threads, args):
    if args.gpu is None or threads < max(args.threads):
        return
    drawn = {"device": args.gpu, "random_state": 0, "pooling": "mean"}
    cuda = args.gpu.startswith("cuda")
    card = torch.cuda.get_device_name(args.gpu) if cuda else args.gpu
    size = "tiny" if args.quick else "large"
    n_filters = 10 if args.quick else 717
    for name, extractor in {
        f"vgg {n_filters}": RandomCNNTransformer(n_filters=n_filters, **drawn),
        f"wav2vec {size}": Wav2VecTransformer(size, max_epochs=0, **drawn),
    }.items():
        clips = _music(args.sizes["many"], args.sizes["seconds"], extractor.sample_rate)
        found = extractor.fit(clips).transform(clips[:1])
        lower = copy.deepcopy(extractor).set_params(precision="bfloat16")
        here = copy.deepcopy(extractor).set_params(device="cpu")
        with FlopCounterMode(display=False) as counter:
            expected = here.transform(clips[:1])
        apart = np.abs(found - expected).max() / np.abs(expected).max()
        ways = {OURS: partial(extractor.transform, clips), LOWER: partial(lower.transform, clips)}
        timings, rate = _with_product(ways, torch.bfloat16, args, args.gpu)
        work = f"{name}, {len(clips)} clips on {card}; {apart:.1e} apart from the processor"
        yield work, timings, len(clips) * counter.get_total_flops() / rate


def _front_end(extractor):
    """Make what turns waves (B, T) into what plain networks read: (B, T) or (B, F, T)."""
    front = extractor._ready(None).frontend

    @torch.inference_mode()
    def run(wave):
        x, _ = front(wave, torch.full((len(wave),), wave.shape[1]))
        return x[:, 0] if x.shape[1] == 1 else x

    return run


def _keras(python, extractor, x, threads):
    """Time of a design in Keras, without its front-end, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "input.npy")
        np.save(path, x.transpose(1, 2) if x.ndim == 3 else x)
        script = Path(__file__).with_name("_keras_designs.py")
        options = ["--threads", threads, "--repeats", 3]
        command = [python, script, extractor.design, extractor.n_filters, path, *options]
        printed = subprocess.check_output([*map(str, command)], text=True)
    seconds = json.loads(printed.splitlines()[-1])["seconds"]
    return Timing(statistics.median(seconds), min(seconds), max(seconds))


def _mfcc(threads, args):
    files = _sets.load("esc10").data[: args.sizes["clips"]]
    sounds = [read_audio(file, 12000) for file in files]
    n_samples = min(map(len, sounds))
    music = _music(args.sizes["many"], args.sizes["seconds"], 12000)
    pool = Parallel(n_jobs=threads)
    for name, waves in (
        (f"{len(files)} clips of esc10 in memory", [wave[:n_samples] for wave in sounds]),
        (f"{len(music)} clips of {args.sizes['seconds']} s in memory", music),
    ):
        yield name, *_cepstra(waves, pool)


def _cepstra(waves, pool):
    """Timings of MFCCs of waves of one length, and the time of their bare transforms."""
    every, mfcc = np.stack(waves), MFCCTransformer(sample_rate=12000, device="cpu").fit(waves)
    frames = torch.randn(256, mfcc.n_fft)
    n_frames = len(waves) * (1 + every.shape[1] // mfcc.hop_length)
    ways = {
        OURS: partial(mfcc.transform, waves),
        "librosa, loop": lambda: [_librosa_mfcc(wave) for wave in waves],
        "librosa, joblib": lambda: pool(delayed(_librosa_mfcc)(wave) for wave in waves),
        "librosa, one array": lambda: _librosa_mfcc(every),
        "transforms": lambda: [torch.fft.rfft(frames) for _ in range(n_frames // len(frames))],
    }
    if find_spec("python_speech_features"):
        ways["python_speech_features"] = lambda: [_speech_mfcc(wave) for wave in waves]
    timings = in_turn(ways)
    return timings, timings.pop("transforms").median


def _librosa_mfcc(wave):
    """Return 120 features of one wave (T,), or of several of one length (B, T)."""
    return _statistics(librosa.feature.mfcc(y=wave, sr=12000))


def _speech_mfcc(wave):
    from python_speech_features import mfcc

    options = {"winlen": 2048 / 12000, "winstep": 512 / 12000, "nfft": 2048, "nfilt": 128}
    return _statistics(mfcc(wave, 12000, numcep=20, **options).T)


def _statistics(mfcc):
    frames = [mfcc, np.diff(mfcc), np.diff(mfcc, 2)]
    return np.concatenate([f(x, axis=-1) for x in frames for f in (np.mean, np.std)], axis=-1)


def _files(threads, args):
    for name, native in (("esc10", 44100), ("fsdd", 8000)):
        files = [*map(str, _sets.load(name).data)]
        some = files[: 4 if args.quick else 300 if name == "fsdd" else None]
        mfcc = MFCCTransformer(sample_rate=12000, device="cpu").fit(some)
        yield f"{len(some)} files of {name}", *_decoding(mfcc, some, {})
        some = some[:: args.sizes["each"]]
        rivals = _rivals.rivals(native) | {
            "vgg": RandomCNNTransformer(random_state=0, device="cpu")
        }
        rivals.pop("librosa MFCC 22.05 kHz")
        others = {
            title: partial(rival.fit(some).transform, some) for title, rival in rivals.items()
        }
        yield f"{len(some)} files of {name}", *_decoding(mfcc, some, others)


def _decoding(mfcc, files, others):
    """Timings of MFCCs and of other features of files, and the time to read these alone."""
    ways = {
        OURS: partial(mfcc.transform, files),
        "decoding": lambda: [read_audio(file, mfcc.sample_rate) for file in files],
        **others,
    }
    timings = in_turn(ways)
    return timings, timings.pop("decoding").median


def _training(threads, args):
    wave = torch.randn(train_speed.CROPS, train_speed.SAMPLES)
    network = train_speed.new_network()
    task = Prediction(network, train_speed.NEGATIVES, "infonce")
    gathered = train_speed.Gathered(train_speed.Plain())
    ways = {OURS: train_speed.Step(task, wave), PLAIN: train_speed.Step(gathered, wave)}
    timings, rate = _with_product(ways, torch.float32, args)
    yield "a step, against its forward arithmetic", timings, train_speed.operations(network) / rate


def _elm(threads, args):
    if threads < max(args.threads):
        return  # takes long
    n_rows, n_features, n_hidden = args.sizes["elm"]
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, n_features), dtype=np.float32)
    y = rng.integers(0, 10, n_rows)
    targets = np.eye(10)[y] * 2 - 1
    elm = ELMClassifier(n_hidden, random_state=0)

    def at_once():
        hidden = np.maximum(X @ elm.hidden_coef_ + elm.hidden_intercept_, 0)
        gram = hidden.T @ hidden + elm.alpha * np.eye(n_hidden)
        return np.linalg.solve(gram, hidden.T @ targets)

    ways = {OURS: partial(elm.fit, X, y), "numpy, all rows at once": at_once}
    timings, rate = _with_product(ways, torch.float64, args, seconds=0)
    arithmetic = n_rows * n_hidden * (2 * n_features + n_hidden) + n_hidden**3 / 3
    yield f"{n_rows} x {n_features}, {n_hidden} units", timings, arithmetic / rate


def _overhead(threads, args):
    rng, n = np.random.default_rng(0), args.sizes["short"]
    clips = [*rng.standard_normal((n, 1600), dtype=np.float32)]
    for name, extractor in {
        "MFCC": MFCCTransformer(n_fft=512, hop_length=256),
        "single, 16 filters": RandomCNNTransformer("single", n_filters=16, random_state=0),
        "sample_level, 4 filters": RandomCNNTransformer(
            "sample_level", n_filters=4, random_state=0
        ),
    }.items():
        forward = extractor.set_params(device="cpu").fit(clips[:1])._ready(extractor.pooling)
        most = forward.max_samples(None)
        batches = torch.from_numpy(np.stack(clips)).split(most // 1600)

        def own(forward=forward, batches=batches, most=most):
            return [forward(wave, torch.full((len(wave),), 1600), most) for wave in batches]

        timings = in_turn({OURS: partial(extractor.transform, clips), "network": own})
        yield f"{name}, {n} clips of 0.1 s", timings, timings.pop("network").median


def _start(threads, args):
    programs = {
        OURS: START.format(
            "from skaudio import MFCCTransformer", "MFCCTransformer().fit_transform([wave])"
        ),
        "librosa": START.format("import librosa", "librosa.feature.mfcc(y=wave, sr=16000)"),
        "torch": "import torch",
    }
    ways = {
        name: partial(subprocess.run, [sys.executable, "-c", program], check=True)
        for name, program in programs.items()
    }
    timings = in_turn(ways)
    yield "import and first MFCCs", timings, timings.pop("torch").median


QUESTIONS = {
    "machine": _machine,
    "networks": _networks,
    "gpu": _gpu,
    "mfcc": _mfcc,
    "files": _files,
    "training": _training,
    "elm": _elm,
    "latency": lambda threads, args: latency(1 if args.quick else 20, OURS),
    "overhead": _overhead,
    "start": _start,
}


if __name__ == "__main__":
    main()
