"""Layers and weights of wav2vec networks: fairseq's notation and names, and those of skaudio."""

import ast
import reprlib

_MAX_TEXT, _MAX_LAYERS, _MAX_SIZE = 2000, 100, 10_000


def parse_layers(layers):
    """Read a list of convolutions as fairseq writes it.

    Parameters
    ----------
    layers : str or sequence of (dim, kernel, stride)
        For instance "[(512, 10, 5)] + [(512, 4, 2)] * 3". A string is parsed, not evaluated.

    Returns
    -------
    layers : tuple of (dim, kernel, stride)
        Up to 100 layers of numbers from 1 to 10 000.

    Raises
    ------
    ValueError
        If it is anything else.

    Examples
    --------
    >>> from skaudio.pretrained import parse_layers
    >>> parse_layers("[(512, 10, 5)] + [(512, 4, 2)] * 2")
    ((512, 10, 5), (512, 4, 2), (512, 4, 2))
    """
    try:
        if isinstance(layers, str):
            if len(layers) > _MAX_TEXT:
                raise ValueError
            items = _evaluate(ast.parse(layers.strip(), mode="eval").body)
        else:
            items = layers
        # not any iterable: arrays in a file may claim any length
        if not isinstance(items, list | tuple) or not all(
            isinstance(x, list | tuple) for x in items
        ):
            raise ValueError
        parsed = tuple((dim, kernel, stride) for dim, kernel, stride in items)
        numbers = [number for layer in parsed for number in layer]
        if not 0 < len(parsed) <= _MAX_LAYERS or not all(map(is_size, numbers)):
            raise ValueError
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise ValueError(
            f"{shown(layers)} is no list of up to {_MAX_LAYERS} layers (dim, kernel, stride) "
            f"with numbers from 1 to {_MAX_SIZE}"
        ) from None
    return parsed


def is_size(value):
    """Whether something is a whole number from 1 to 10 000.

    Parameters
    ----------
    value : object
        Anything.

    Returns
    -------
    fits : bool
        False for True and False.
    """
    return type(value) is int and 0 < value <= _MAX_SIZE


class _Shown(reprlib.Repr):
    maxstring = 60

    def repr_instance(self, x, level):
        return repr(x) if x is None or isinstance(x, bool | float) else f"a {type(x).__name__}"


def shown(value):
    """Describe a value of a file, whose ``repr`` may be very long.

    Parameters
    ----------
    value : object
        Anything.

    Returns
    -------
    text : str
        Up to 60 characters.
    """
    try:
        return f"{_Shown().repr(value):.60}"
    except ValueError:  # a number of thousands of digits
        return f"a {type(value).__name__}"


def _evaluate(node):
    """Value of an expression of whole numbers, lists, their sums and multiples, nothing else."""
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_evaluate(item) for item in items]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            left, right = _evaluate(left), _evaluate(right)
            if isinstance(left, list) and isinstance(right, list):
                return left + right
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            left, right = _evaluate(left), _evaluate(right)
            items, times = (left, right) if isinstance(left, list) else (right, left)
            if isinstance(items, list) and type(times) is int and 0 <= times <= _MAX_LAYERS:
                if len(items) * times <= _MAX_LAYERS:
                    return items * times
    raise ValueError


def layout(arguments):
    """List the weights of a network.

    Parameters
    ----------
    arguments : dict
        As in `Checkpoint`.

    Yields
    ------
    theirs : str
        Name of a weight in fairseq.
    ours : str
        Name in `skaudio.networks.wav2vec.Wav2Vec`.
    shape : tuple of int
        Its shape.
    """
    dim, affine = 1, arguments["affine"]
    for i, (width, kernel, _) in enumerate(arguments["encoder_layers"]):
        theirs, ours = f"feature_extractor.conv_layers.{i}", f"encoder.{i}"
        yield f"{theirs}.0.weight", f"{ours}.conv.weight", (width, dim, kernel)
        if affine:
            yield from _pair(f"{theirs}.2", f"{ours}.norm", (width,))
        dim = width
    n_targets = dim
    if arguments["quantizer"]:
        yield from _quantizer_layout(dim, **arguments["quantizer"])
    if arguments["aggregator"] == "gru":
        width = arguments["gru_dim"]
        shapes = {
            "weight_ih": (3 * width, dim),
            "weight_hh": (3 * width, width),
            "bias_ih": (3 * width,),
            "bias_hh": (3 * width,),
        }
        for name, shape in shapes.items():
            yield f"feature_aggregator.1.{name}_l0", f"aggregator.gru.{name}_l0", shape
        dim = width
    else:
        for i, (width, kernel, _) in enumerate(arguments["aggregator_layers"]):
            theirs, ours = f"feature_aggregator.conv_layers.{i}", f"aggregator.{i}"
            conv = _pair(f"{theirs}.1", f"{ours}.conv", (width, dim, kernel))
            yield from conv if arguments["bias"] else conv[:1]
            if affine:
                yield from _pair(f"{theirs}.3", f"{ours}.norm", (width,))
            if arguments["skip_aggregator"] and width != dim:
                theirs = f"feature_aggregator.residual_proj.{i}"
                yield f"{theirs}.weight", f"{ours}.residual.weight", (width, dim, 1)
            dim = width
    shape = (dim, n_targets, 1, arguments["n_steps"])
    yield from _pair("wav2vec_predictions.project_to_steps", "head", shape, n_targets)


def _pair(theirs, ours, shape, n_biases=None):
    """Weight and bias; by default there are as many biases as rows of the weight."""
    return [
        (f"{theirs}.weight", f"{ours}.weight", shape),
        (f"{theirs}.bias", f"{ours}.bias", (n_biases or shape[0],)),
    ]


def _quantizer_layout(dim, kind, n_codes, n_groups, shared, depth=None, **_):
    theirs, width, n_tables = "vector_quantizer", dim // n_groups, 1 if shared else n_groups
    if kind == "kmeans":
        projection = f"{theirs}.projection"
        yield f"{projection}.0.weight", "quantizer.projection.weight", (dim, width, 1)
        yield from _pair(f"{projection}.1", "quantizer.norm", (dim,))
        yield f"{theirs}.embedding", "quantizer.table", (n_codes, n_tables, width)
        return
    n_in = dim
    for i in range(depth - 1):  # hidden layers are twice as wide
        ours = f"quantizer.projection.{i}"
        yield from _pair(f"{theirs}.weight_proj.{i}.0", ours, (2 * dim, n_in))
        n_in = 2 * dim
    last = f"{theirs}.weight_proj" if depth == 1 else f"{theirs}.weight_proj.{depth - 1}"
    yield from _pair(last, f"quantizer.projection.{depth - 1}", (n_codes * n_groups, n_in))
    yield f"{theirs}.vars", "quantizer.table", (1, n_codes * n_tables, width)
