"""Layers around what other frameworks compute, which JAX cannot compile: their errors."""

from typing import Any

from kerasish.layers.base.layer import Layer


class TFSMLayer(Layer):
    """A TensorFlow SavedModel as a layer: refused, as Keras does without TensorFlow.

    Args:
        filepath: Path of the SavedModel.
        call_endpoint: Name of its endpoint.
        call_training_endpoint: Name of its endpoint in training.
        trainable: Whether its weights are trained.
        name: Name of the layer.
        dtype: Type that it computes in.

    Raises:
        NotImplementedError: Always.

    Example:
        >>> TFSMLayer("folder")
        Traceback (most recent call last):
        NotImplementedError: The TFSMLayer is only currently supported with the TensorFlow...
    """

    def __init__(
        self,
        filepath: Any,
        call_endpoint: str = "serve",
        call_training_endpoint: str | None = None,
        trainable: bool = True,
        name: str | None = None,
        dtype: Any = None,
    ):
        raise NotImplementedError(
            "The TFSMLayer is only currently supported with the TensorFlow backend. Here, load the "
            "model's own `.keras` file with `keras.saving.load_model`, or wrap "
            "`jax.experimental.jax2tf.call_tf(tf.saved_model.load(path).serve)` in a `JaxLayer`."
        )


class TorchModuleWrapper(Layer):
    """A `torch.nn.Module` as a layer: refused, as JAX can neither compile nor differentiate it.

    Args:
        module: The module.
        name: Name of the layer.
        output_shape: Shape of its output.
        **kwargs: Other arguments of layers.

    Raises:
        NotImplementedError: Always.

    Example:
        >>> TorchModuleWrapper(None)
        Traceback (most recent call last):
        NotImplementedError: The TorchModuleWrapper works with the PyTorch backend only...
    """

    def __init__(
        self, module: Any, name: str | None = None, output_shape: Any = None, **kwargs: Any
    ):
        raise NotImplementedError(
            "The TorchModuleWrapper works with the PyTorch backend only: JAX can neither compile "
            "nor differentiate a `torch.nn.Module`. Build it of kerasish's layers and copy its "
            "weights with `set_weights`, or run it on the data before `fit`."
        )
