"""What the extractors share that learn to predict the future of a sound."""

import numpy as np

from ..networks import vq, wav2vec
from ..training import TrainingMixin
from ..training.contrastive import Prediction
from ..utils.validation import check_choice, check_number, check_whole

OBJECTIVES = ("infonce", "bce", "balanced")
_MOST_STEPS = 1000  # ahead: the head has a matrix for each
_MOST_SECONDS = 1e6
_QUANTIZER_START = 0.3  # share of a training after which a quantizer takes part


class PredictiveMixin(TrainingMixin):
    """The network of `Wav2VecTransformer` and `VQTransformer`, its checkpoints and its task.

    A subclass gives the layers it returns to `_new_network`, the arguments of its quantizer in
    ``_quantizer``, and in ``_check_quantizer`` an opinion of what a checkpoint has.
    """

    _after_training = ("pooling", "window_seconds")

    def _validate_parameters(self):
        check_choice("size", self.size, wav2vec.SIZES)
        check_choice("objective", self.objective, OBJECTIVES)
        check_number("n_steps", self.n_steps, 1, _MOST_STEPS)
        check_number("n_negatives", self.n_negatives, 1)
        check_number(
            "window_seconds", self.window_seconds, 1e-9, _MOST_SECONDS, integer=False, none=True
        )
        for name in ("encoder_layers", "aggregator_layers"):
            layers = getattr(self, name)
            if layers is not None:
                check_whole(name, layers, (len(layers), 3))

    def _learn(self, clips, run):
        self.architecture_ = self._architecture()

    def _architecture(self):
        """Arguments of the network."""
        if self.pretrained is not None:
            return self._checkpoint().arguments
        encoder, aggregator, skip = wav2vec.SIZES[self.size]
        return {
            "encoder_layers": self.encoder_layers or encoder,
            "aggregator_layers": self.aggregator_layers or aggregator,
            "skip_aggregator": skip,
            "n_steps": self.n_steps,
            "quantizer": self._quantizer(),
        }

    def _quantizer(self):
        """Arguments of the quantiser between encoder and aggregator, if there is one."""
        return None

    def _checkpoint(self):
        """Contents of the file; ValueError if it is not for this class."""
        from ..pretrained.fairseq import KNOWN, fetch_checkpoint, read_checkpoint

        known = self.pretrained in KNOWN
        path = fetch_checkpoint(self.pretrained) if known else self.pretrained
        checkpoint = read_checkpoint(path)
        self._check_quantizer(checkpoint.arguments["quantizer"], path)
        for name in ("encoder_layers", "aggregator_layers"):
            wanted, found = getattr(self, name), checkpoint.arguments[name]
            if wanted is not None and tuple(map(tuple, wanted)) != found:
                raise ValueError(f"{name}={wanted!r}, but {path} has {found}; leave it out")
        if self.sample_rate != checkpoint.sample_rate:
            raise ValueError(
                f"sample_rate={self.sample_rate}, but {path} was trained on sound of "
                f"{checkpoint.sample_rate} Hz; pass that"
            )
        return checkpoint

    def _pretrained_weights(self):
        # a quantizer of a checkpoint takes part from the first update on
        beside = {} if self._quantizer() is None else {"waiting": np.array(False)}
        return self._checkpoint().weights, beside

    def _task(self, network, y):
        start = 0.0 if network.quantizer is None else _QUANTIZER_START
        return Prediction(network, self.n_negatives, self.objective, start)

    def _new_network(self, generator, layers):
        """The network that returns some layers, initialised if there is a generator."""
        arguments = dict(self.architecture_)
        quantizer = arguments.pop("quantizer", None)
        if quantizer is not None:
            width = arguments["encoder_layers"][-1][0]
            arguments["quantizer"] = vq.new_quantizer(dim=width, **quantizer)
        network = wav2vec.Wav2Vec(**arguments, layers=layers)
        if generator is not None:
            network.initialise(generator)
        return network

    def _window(self):
        return self.window_seconds and round(self.window_seconds * self.sample_rate)
