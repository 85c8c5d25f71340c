"""Time of the networks of Pons & Serra in Keras, with channels last as in their code.

    python _keras_designs.py DESIGN N_FILTERS INPUT.npy [--repeats 5] [--threads 2]

The input is an array of waves (B, T) or of log-mel spectrograms (B, T, F), all of one length;
``RandomCNNTransformer.from_paper`` has the same networks. Prints one line of JSON. Needs an
environment of its own, see requirements-keras.txt, and does not import skaudio.
"""

import argparse
import json
import os
import time

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow reads it when it is imported

import keras
import tensorflow as tf
from keras import layers

DESIGNS = ("vgg", "single", "timbral_temporal", "sample_level", "frame_level", "frame_level_many")


def main():
    """Measure, print the times, and with --features write the features."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("design", choices=DESIGNS)
    parser.add_argument("n_filters", type=int)
    parser.add_argument("input", help="an .npy file")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--weights", help="an .npz file of weights_ of a fitted extractor")
    parser.add_argument("--out", help="an .npy file for the features")
    args = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    x = np.load(args.input).astype(np.float32)[..., None]
    model = build(args.design, args.n_filters, x.shape[1:])
    if args.weights:
        load(model, np.load(args.weights))
    run, tensor = tf.function(lambda x: model(x, training=False)), tf.constant(x)
    ways = {"call": lambda: run(tensor), "predict": lambda: model.predict(x, len(x), verbose=0)}
    seconds = {name: _times(way, args.repeats) for name, way in ways.items()}
    best = min(seconds, key=lambda name: np.median(seconds[name]))
    if args.out:
        np.save(args.out, ways[best]())
    versions = {"tensorflow": tf.__version__, "keras": keras.__version__}
    line = {"design": args.design, "way": best, "seconds": seconds[best], "versions": versions}
    print(json.dumps(line))


def _times(function, repeats):
    """Return seconds of each call after the first."""
    function()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        np.asarray(function())
        times.append(time.perf_counter() - begin)
    return times


def build(design, n, shape):
    """Build the model of a design.

    Parameters
    ----------
    design : str
        One of `DESIGNS`.
    n : int
        Number of filters.
    shape : sequence of int
        Of one input: (T, F, 1) or (T, 1).

    Returns
    -------
    model : keras.Model
        Input -> means of all maps over time and frequency, (B, D). Layers have the names of
        skaudio's weights.
    """
    x = keras.Input(shape)
    make = {"vgg": _vgg, "single": _single, "timbral_temporal": _timbral_temporal}
    make |= {"sample_level": _sample_level, "frame_level": _frame_level}
    maps = make.get(design, _frame_level_many)(x, n)
    means = [layers.GlobalAveragePooling1D()(y) for y in maps]
    return keras.Model(x, means[0] if len(means) == 1 else layers.Concatenate()(means))


def load(model, weights):
    """Load weights of skaudio into a model.

    Parameters
    ----------
    model : keras.Model
        Of `build`.
    weights : mapping of str to ndarray
        Kernels (out, in, time) or (out, in, time, mel), biases (out,).
    """
    for name in {key.rpartition(".")[0] for key in weights}:
        kernel = np.moveaxis(weights[f"{name}.weight"], [0, 1], [-1, -2])
        model.get_layer(name).set_weights([kernel, weights[f"{name}.bias"]])


def _series(x):
    """Images (B, T, F, C) as series (B, T F, C)."""
    return layers.Reshape((-1, x.shape[-1]))(x)


def _vgg(x, n):
    maps = []
    for i, pool in enumerate([(4, 2), (4, 3), (5, 2), (4, 2), (4, 4)]):
        x = layers.Conv2D(n, 3, padding="same", activation="elu", name=f"blocks.{i}")(x)
        x = layers.MaxPooling2D(pool)(x)
        maps.append(_series(x))
    return maps


def _single(x, n):
    x = layers.Conv2D(n, (7, 86), activation="relu", name="conv")(x)
    return [_series(layers.MaxPooling2D((1, x.shape[2]))(x))]


def _timbral_temporal(x, n):
    n_mels, timbral = x.shape[2], []
    shapes = [(width, int(height * n_mels)) for height in (0.9, 0.4) for width in (7, 3, 1)]
    for i, (shape, count) in enumerate(zip(shapes, (1, 2, 4) * 2, strict=True)):
        side = shape[0] // 2
        y = layers.ZeroPadding2D((side, 0))(x)
        y = layers.Conv2D(count * n, shape, activation="relu", name=f"timbral.{i}")(y)
        timbral.append(_series(layers.MaxPooling2D((1, y.shape[2]))(y)))
    mean, temporal = _series(layers.AveragePooling2D((1, n_mels))(x)), []
    for i, width in enumerate((165, 128, 64, 32)):
        conv = layers.Conv1D(
            n * 2**i - n // 4, width, padding="same", activation="relu", name=f"temporal.{i}"
        )
        temporal.append(conv(mean))
    return [layers.Concatenate()(timbral), layers.Concatenate()(temporal)]


def _sample_level(x, n):
    maps = [layers.Conv1D(n, 3, strides=3, activation="relu", name="convs.0")(x)]
    for i in range(1, 7):
        y = layers.Conv1D(n, 3, padding="same", activation="relu", name=f"convs.{i}")(maps[-1])
        maps.append(layers.MaxPooling1D(3)(y))
    return maps


def _frame_level(x, n):
    front = layers.Conv1D(n, 512, strides=32, activation="relu", name="front.0")(x)
    return [front, *_back_end(front, n)]


def _frame_level_many(x, n):
    options = {"strides": 32, "padding": "same", "activation": "relu"}
    front = [
        layers.Conv1D(n, width, name=f"front.{i}", **options)(x)
        for i, width in enumerate((512, 256, 128, 64, 32))
    ]
    return [*front, *_back_end(layers.Concatenate()(front), n)]


def _back_end(x, n):
    # the published filters of 7 frames by all C channels, over images (T, C, 1), are these
    first = layers.Conv1D(n, 7, activation="relu", name="back.0")(x)
    y = layers.Conv1D(n, 7, padding="same", activation="relu", name="back.1")(first)
    second = layers.Add()([y, first])
    pooled = layers.MaxPooling1D(2)(second)
    y = layers.Conv1D(n, 7, padding="same", activation="relu", name="back.2")(pooled)
    return [first, second, layers.Add()([y, pooled])]


if __name__ == "__main__":
    main()
