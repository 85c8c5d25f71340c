"""Damaged and malicious checkpoints; as a program, reads a folder of them and reports."""

import argparse
import io
import json
import os
import pickle
import random
import struct
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

from skaudio.pretrained import read_checkpoint
from tests.pretrained.checkpoints import network, old

LAYERS = {
    "conv_feature_layers": "[(4, 5, 3), (8, 2, 2)]",
    "conv_aggregator_layers": "[(8, 2, 1)] + [(6, 3, 1)]",
    "prediction_steps": 3,
    "skip_connections_agg": True,
}
PARTS = {"encoder": ((4, 5, 3), (8, 2, 2)), "aggregator": ((8, 2, 1), (6, 3, 1)), "skip": True}
GUMBEL = {"vq_type": "gumbel", "vq_vars": 5, "vq_groups": 2, "vq_depth": 2}
ARRAY = "feature_aggregator.conv_layers.1.3.weight"


def intact(arguments=LAYERS, legacy=False, **modules):
    """Bytes of a checkpoint that can be read."""
    written = io.BytesIO()
    state = old(arguments, network(**PARTS, **modules).state_dict())
    torch.save(state, written, _use_new_zipfile_serialization=not legacy)
    return written.getvalue()


def sound():
    """Several kinds of intact checkpoints."""
    vq = {"kind": "gumbel", "n_codes": 5, "depth": 2}
    return [
        intact(),
        intact(legacy=True),
        intact({**LAYERS, "aggregator": "gru", "gru_dim": 5}, gru=5),
        intact({**LAYERS, **GUMBEL}, vq=vq),
        intact({**LAYERS, **GUMBEL}, legacy=True, vq=vq),
    ]


def records_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(records, compression=zipfile.ZIP_STORED):
    """A zip file of (name, content) pairs."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", compression) as archive:
        for name, content in records:
            archive.writestr(name, content)
    return written.getvalue()


# --- mutants -------------------------------------------------------------------------------------


def mutant(content, rng):
    """Change bytes at random, or cut, or rename, drop or exchange records."""
    is_zip = content.startswith(b"PK")
    kinds = [flipped, flipped_in_the_pickle, truncated]
    return rng.choice([*kinds, *([records_changed] * 2 if is_zip else [])])(content, rng)


def flipped(content, rng, first=0, last=None):
    changed, last = bytearray(content), last or len(content)
    for _ in range(rng.choice([1, 1, 2, 8])):
        changed[rng.randrange(first, last)] = rng.randrange(256)
    return bytes(changed)


def flipped_in_the_pickle(content, rng):
    start = content.find(b"\x80\x02}")
    return flipped(content, rng, start, start + 3000)


def truncated(content, rng):
    return content[: rng.randrange(len(content))]


def records_changed(content, rng):
    records = records_of(content)
    names, contents = [*records], [*records.values()]
    i, j = rng.sample(range(len(names)), 2)
    kind = rng.choice(["rename", "drop", "exchange", "damage"])
    if kind == "rename":
        names[i] = rng.choice(["", "../", "/", "archive/data/"]) + f"x{i}" * rng.choice([1, 9])
    elif kind == "drop":
        del names[i], contents[i]
    elif kind == "exchange":
        contents[i], contents[j] = contents[j], contents[i]
    elif contents[i]:
        contents[i] = flipped(contents[i], rng)
    return zipped(zip(names, contents, strict=True))


# --- bombs ---------------------------------------------------------------------------------------


class Call:
    """Its pickle calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Storage:
    """Its pickle refers to a record of the file."""

    def __init__(self, key, n_numbers, *old):
        self.id = "storage", torch.FloatStorage, key, "cpu", n_numbers, *old


def old_storage(n_numbers):
    """The same in the format of 2019."""
    return Storage("0", n_numbers, None)


class _Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return value.id if isinstance(value, Storage) else None


def pickled(state):
    written = io.BytesIO()
    _Pickler(written, protocol=2).dump(state)
    return written.getvalue()


def tensor(storage, shape, strides=None):
    strides = strides or torch.empty(shape, device="meta").stride()
    function = torch._utils._rebuild_tensor_v2
    return Call(function, storage, 0, shape, strides, False, OrderedDict())


def state(array=None, storage=None, shapes=None, **changes):
    shapes = shapes or {name: t.shape for name, t in network(**PARTS).state_dict().items()}
    storage = storage or Storage("0", 4096)
    tensors = {name: tensor(storage, tuple(shape)) for name, shape in shapes.items()}
    tensors |= {} if array is None else {ARRAY: array}
    return {"args": argparse.Namespace(**{**LAYERS, **changes}), "model": tensors}


def crafted(contents, **records):
    """A file of today's format with this state."""
    named = {"a/data.pkl": pickled(contents), "a/data/0": bytes(1 << 14), "a/version": b"3\n"}
    return zipped([*named.items(), *records.items()])


def crafted_of_2019(contents, n_numbers, keys=("0",)):
    """A file of 2019, whose arrays follow in the order of their keys."""
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    heads = (0x1950A86A20F9469CFC6C, 1001, machine, contents, [*keys])
    return b"".join(map(pickled, heads)) + struct.pack("<q", n_numbers) + bytes(1 << 14)


BOMB = Call(bytearray, Call(bytearray, 10**9))


def deep(n=64):
    """Two to the power of n lists, to whoever walks through them."""
    value = ["x"]
    for _ in range(n):
        value = [value, value]
    return value


def two_directories():
    """Python finds the directory that is last, torch the one that the end of the file points to."""
    evil, good = crafted(state(BOMB, seed="x" * 1000)), crafted(state())
    (evil, evil_start, evil_end), (good, start, end) = map(directory_of, (evil, good))
    shown, at = bytearray(good[start:end]), 0
    while at < len(shown):  # places, which Python moves on by what it takes for a prefix
        (place,) = struct.unpack_from("<L", shown, at + 42)
        struct.pack_into("<L", shown, at + 42, place + evil_start - start)
        at += 46 + sum(struct.unpack_from("<3H", shown, at + 28))
    assert len(shown) == evil_end - evil_start
    last = good[end:-6] + struct.pack("<L", evil_start) + good[-2:]
    return evil[:evil_end] + good[:start] + bytes(shown) + last


def directory_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return content, archive.start_dir, content.index(b"PK\5\6")


def oversized():
    """The directory says that a record is a thousand times larger than the file."""
    content = bytearray(crafted(state()))
    at = content.index(b"PK\1\2", content.index(b"PK\1\2") + 1)
    content[at + 20 : at + 28] = struct.pack("<2L", 1 << 30, 1 << 30)
    return bytes(content)


def giant_shapes():
    """Names and shapes of a network whose aggregator has 80 million weights."""
    with torch.device("meta"):
        parts = {**PARTS, "aggregator": ((10_000, 1000, 1),)}
        return {name: t.shape for name, t in network(**parts).state_dict().items()}


def bombs():
    """Files by what is wrong with them."""
    wide = {"conv_feature_layers": "[(10000, 10, 5)]", "conv_aggregator_layers": "[(10000, 9, 1)]"}
    expanded = tensor(Storage("0", 4096), (10**9,), (0,))
    cast = Call(
        torch._utils._rebuild_device_tensor_from_cpu_tensor, expanded, torch.int8, "cpu", False
    )
    large = {"a/more": bytes(2 << 20)}
    giant, shapes = {"conv_aggregator_layers": "[(10000, 1000, 1)]"}, giant_shapes()
    old_array = old_storage(4096)
    compressed = zipped(records_of(intact()).items(), zipfile.ZIP_DEFLATED)
    zeros = {"a/data.pkl": pickled(state()), "a/data/0": bytes(1 << 26)}
    many = [(f"a/data/{i}", b"") for i in range(30_000)]
    return {
        "payload": (crafted(state(Call(os.mkdir, "made"))), "mkdir, which could run code"),
        "compressed": (compressed, "its records are compressed"),
        "compressed zeros": (zipped(zeros.items(), zipfile.ZIP_DEFLATED), "are compressed"),
        "large values": (crafted(state(), **large), "bytes that are no weights"),
        "long pickle": (crafted(state(seed="x" * (2 << 20))), "bytes that are no weights"),
        "long pickle of 2019": (crafted_of_2019(state(seed="x" * (2 << 20)), 4096), "damaged"),
        "many records": (zipped(many), "the list of its records takes more"),
        "oversized record": (oversized(), "claim to be larger than the file"),
        "two directories": (two_directories(), "damaged"),
        "two names": (crafted(state(), **{"a/DATA.pkl": pickled(state())}), "damaged"),
        "null in a name": (crafted(state()).replace(b"a/version", b"a/vers\0on"), "damaged"),
        "array beyond its record": (crafted(state(tensor(Storage("0", 10**9), (6,)))), None),
        "array beyond its storage": (
            crafted(state(tensor(Storage("0", 4096), (10**9,)))),
            "damaged",
        ),
        "of 2019, intact": (crafted_of_2019(state(storage=old_array), 4096), None),
        "of 2019, cut": (crafted_of_2019(state(storage=old_storage(4097)), 4097), "damaged"),
        "of 2019, large claim": (
            crafted_of_2019(state(storage=old_storage(10**9)), 10**9),
            "its arrays claim to be larger than the file",
        ),
        # torch makes room for an array that is larger than its storage
        "of 2019, giant weights": (
            crafted_of_2019(state(storage=old_array, shapes=shapes, **giant), 4096),
            "damaged",
        ),
        "of 2019, unnamed storage": (
            crafted_of_2019(state(storage=old_array, shapes=shapes, **giant), 4096, keys=()),
            "its weights claim to be larger than the file",
        ),
        "giant weights": (crafted(state(shapes=shapes, **giant)), "damaged"),
        "tensor as layers": (
            crafted(state(conv_feature_layers=tensor(Storage("0", 4096), (10**8, 3), (0, 0)))),
            "a Tensor is no list of up to 100",
        ),
        "tensor as a layer": (
            crafted(state(conv_feature_layers=[tensor(Storage("0", 4096), (10**8,), (0,))])),
            "is no list of up to 100",
        ),
        "line breaks": (
            crafted({**state(), "model": {**state()["model"], "a\n\nb": 1}}),
            "do not account for a b",
        ),
        "expanded": (crafted(state(tensor(Storage("0", 4096), (6,), (0,)))), "no array of weights"),
        "cast": (crafted(state(cast)), "_rebuild_device_tensor_from_cpu_tensor, which could run"),
        "zeros": (crafted(state(BOMB)), "__builtin__.bytearray"),
        "wide layers": (crafted(state(**wide)), "not (10000, 1, 10)"),
        "deep argument": (crafted(state(activation=deep())), "its argument activation is [[[["),
        "deep layers": (crafted(state(conv_feature_layers=deep())), "is no list of up to 100"),
        "deep namespace": (
            crafted(state(offset=argparse.Namespace(a=deep()))),
            "its argument offset is a Namespace",
        ),
        "huge number": (crafted(state(vq_vars=10**600)), "its argument vq_vars is 1000"),
        "number as a name": (crafted({**state(), "model": {3: 4}}), "a weight in it has no name"),
        "no name": (crafted({"args": argparse.Namespace(**LAYERS), "model": {(): 4}}), "no name"),
        "not a namespace": (crafted([1]), "it holds no arguments with weights"),
    }


def write(folder, n_mutants):
    """Write all files into a folder: sound ones, bombs, and mutants of the sound ones."""
    bases = sound()
    files = {f"sound {i}": content for i, content in enumerate(bases)}
    files |= {f"bomb {name}": content for name, (content, _) in bombs().items()}
    for seed in range(n_mutants):
        rng = random.Random(seed)
        files[f"mutant {seed}"] = mutant(rng.choice(bases), rng)
    for name, content in files.items():
        Path(folder, f"{name}.pt").write_bytes(content)


# --- the program ---------------------------------------------------------------------------------


_RUNS = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect")
_WRITES = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.chmod")


def watch(events):
    """Note whatever this process runs or writes from now on."""

    def hook(event, arguments):
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in _RUNS or event in _WRITES:
            events.append(f"{event} {arguments[:1]}")

    sys.addaudithook(hook)


def peak():
    """Highest memory of this process so far, in MB."""
    import resource  # on Unix only, as opposed to the files above

    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def tried(path):
    """What reading gives: None, or the error as text, which begins with its kind."""
    try:
        checkpoint = read_checkpoint(path)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    assert all(np.isfinite(array).all() for array in checkpoint.weights.values())
    return None


def main(folder):
    for i in range(len(sound())):
        assert tried(Path(folder, f"sound {i}.pt")) is None
    before, events, told = peak(), [], {}
    names = [name for name in sorted(os.listdir(folder)) if not name.startswith("sound")]
    watch(events)
    for name in names:
        print(name, file=sys.stderr, flush=True)  # the last one, should this crash
        told[name] = tried(Path(folder, name)), peak() - before
    print(json.dumps({"told": told, "events": events}))


if __name__ == "__main__":
    main(sys.argv[1])
