"""`ExportArchive`: several endpoints in one file."""

import os
import pathlib
from collections.abc import Callable
from typing import Any

from kerasish.core.errors import bad_argument
from kerasish.core.state.variable import Variable
from kerasish.export.inference import Inference, function_inference, model_inference
from kerasish.export.signature import as_tensors
from kerasish.export.stablehlo import PLATFORMS, write_stablehlo
from kerasish.layers import Layer
from kerasish.models import Model


class ExportArchive:
    """Functions of models and Variables, written with their weights as one StableHLO archive.

    `keras.export.load` and JAX run it. The weights of endpoints are shared.

    Args:
        format: `"stablehlo"`, the only one that holds several endpoints.

    Attributes:
        endpoints: What was added, by name.

    Example:
        >>> import tempfile
        >>> from kerasish import Input, Sequential, layers
        >>> model = Sequential([Input((3,), name="x"), layers.Dense(2)])
        >>> archive = ExportArchive()
        >>> archive.track(model)
        >>> x = keras.Input((3,), name="x")
        >>> _ = archive.add_endpoint("predict", model.__call__, [x])
        >>> _ = archive.add_endpoint("double", lambda x: 2 * model(x), [x])
        >>> path = tempfile.mkdtemp() + "/archive.zip"
        >>> archive.write_out(path, verbose=False)
        >>> keras.export.load(path).double(np.ones((5, 3))).shape
        (5, 2)
    """

    def __init__(self, format: str = "stablehlo"):
        if format != "stablehlo":
            hint = "`model.export` writes other formats, with one endpoint."
            raise bad_argument("ExportArchive", "format", "'stablehlo'", format, hint)
        self.endpoints: dict[str, Inference] = {}
        self._collections: dict[str, list] = {}
        self._tracked: list = []

    def track(self, resource: Layer) -> None:
        """Name a layer or model that endpoints use. Its Variables are found without it, too.

        Args:
            resource: The layer, built.
        """
        if not isinstance(resource, Layer):
            wanted = "a layer or model"
            raise bad_argument("ExportArchive", "resource", wanted, type(resource).__name__)
        if not resource.built:
            wanted, hint = "built", "Call it on data, or give its `Input`, before."
            raise bad_argument("ExportArchive", "resource", wanted, resource.name, hint)
        self._tracked.append(resource)

    def add_endpoint(
        self, name: str, fn: Callable, input_signature: Any = None, **kwargs: Any
    ) -> Callable:
        """Add a function under a name.

        Args:
            name: Its name, by which it is called once the archive is loaded.
            fn: Function of arrays, in kerasish's or JAX's operations; a model stands for its call
                in inference.
            input_signature: A list with a symbolic tensor, `keras.InputSpec` or
                `jax.ShapeDtypeStruct` (or a pytree of them) for each argument; a model knows its
                own. `None` in a shape is any size.
            **kwargs: Keras' `jax2tf_kwargs` and others for TensorFlow are refused.

        Returns:
            The function.
        """
        if kwargs:
            wanted = "left out: they are for TensorFlow"
            raise bad_argument("ExportArchive", "kwargs", wanted, sorted(kwargs))
        if not isinstance(name, str) or not name.isidentifier() or name.startswith("_"):
            raise bad_argument("ExportArchive", "name", "a name as of a function", name)
        if name in self.endpoints or name in ("meta", "collections"):
            raise bad_argument("ExportArchive", "name", "one that is not taken yet", name)
        if isinstance(fn, Model):
            self.endpoints[name] = model_inference(fn, input_signature)
            return fn
        if not isinstance(input_signature, list | tuple) or not input_signature:
            wanted = "a list with what is like each argument"
            raise bad_argument("ExportArchive", "input_signature", wanted, input_signature)
        signature = as_tensors(list(input_signature))
        self.endpoints[name] = function_inference(fn, signature, f"endpoint {name!r}")
        return fn

    def track_and_add_endpoint(
        self, name: str, resource: Layer, input_signature: Any = None, **kwargs: Any
    ) -> None:
        """`track` a model or layer, and add its call as an endpoint.

        Args:
            name: Name of the endpoint.
            resource: The model or layer.
            input_signature: Specs of the inputs; the model's own unless given.
            **kwargs: Further arguments of `add_endpoint`.
        """
        self.track(resource)
        is_model = isinstance(resource, Model)
        fn = resource if is_model else lambda *inputs: resource(*inputs)
        self.add_endpoint(name, fn, input_signature, **kwargs)

    def add_variable_collection(self, name: str, variables: list) -> None:
        """Keep Variables' values under a name, for who loads the archive: `collections[name]`.

        Args:
            name: The name.
            variables: A list of Variables.
        """
        if not isinstance(variables, list | tuple | set):
            wanted = "a list, tuple or set of Variables"
            raise bad_argument("ExportArchive", "variables", wanted, type(variables).__name__)
        strange = [v for v in variables if not isinstance(v, Variable)]
        if strange:
            wanted = "all Variables"
            raise bad_argument("ExportArchive", "variables", wanted, type(strange[0]).__name__)
        self._collections[name] = list(variables)

    def write_out(
        self,
        filepath: str | os.PathLike,
        options: Any = None,
        verbose: bool = True,
        platforms: tuple = PLATFORMS,
    ) -> None:
        """Write the archive.

        Args:
            filepath: Path that ends in `.zip`.
            options: Kept for Keras' sake; must be `None`.
            verbose: Whether to print the endpoints.
            platforms: Where they shall run: some of `"cpu"`, `"cuda"`, `"rocm"`, `"tpu"`.
        """
        path = pathlib.Path(filepath)
        if options is not None:
            raise bad_argument("ExportArchive", "options", "left out", options)
        if path.suffix != ".zip":
            raise bad_argument("ExportArchive", "filepath", "a path that ends in '.zip'", str(path))
        if not self.endpoints:
            raise ValueError("ExportArchive: no endpoint was added. Call `add_endpoint` before.")
        write_stablehlo(self.endpoints, path, platforms, self._collections)
        if verbose:
            print(f"Wrote {path} with these endpoints:")
            for name, endpoint in self.endpoints.items():
                print(f"  {name}: {endpoint.inputs} -> {endpoint.outputs}")
