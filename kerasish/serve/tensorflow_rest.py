"""TensorFlow Serving's REST interface: status, metadata, predict and classify."""

from typing import Any

import numpy as np

from kerasish.serve.bodies import kind, only
from kerasish.serve.errors import bad_request
from kerasish.serve.repository import RepositoryModel, Version
from kerasish.serve.served_model import ServedModel
from kerasish.serve.specs import TENSORFLOW, TensorSpec
from kerasish.serve.tensors import from_json, rows_of, to_json

_SIGNATURE = "serving_default"


def status(model: RepositoryModel, number: str | None) -> dict:
    """The answer to `GET /v1/models/NAME`.

    Args:
        model: The model with its versions.
        number: Number of the version, or `None`.
    """
    if model.current is None and number is None:
        return {"model_version_status": []}
    version = model.version(number)
    state = {"error_code": "OK", "error_message": ""}
    return {
        "model_version_status": [{"version": version.number, "state": "AVAILABLE", "status": state}]
    }


def metadata(name: str, version: Version) -> dict:
    """The answer to `GET /v1/models/NAME/metadata`.

    Args:
        name: Name of the model.
        version: Number of the version.
    """
    served = version.served
    signature = {
        "inputs": {spec.name: _tensor_info(spec) for spec in served.inputs},
        "outputs": {spec.name: _tensor_info(spec) for spec in served.outputs},
        "method_name": "tensorflow/serving/predict",
    }
    return {
        "model_spec": {"name": name, "signature_name": "", "version": version.number},
        "metadata": {"signature_def": {"signature_def": {_SIGNATURE: signature}}},
    }


def _tensor_info(spec):
    sizes = [{"size": str(n), "name": ""} for n in spec.open_shape]
    return {
        "dtype": TENSORFLOW.get(spec.dtype, "DT_INVALID"),
        "tensor_shape": {"dim": sizes, "unknown_rank": False},
        "name": spec.name,
    }


def read_predict(served: ServedModel, body: dict) -> tuple[dict[str, np.ndarray], int, bool]:
    """Arrays by input, their rows, and whether the answer goes row by row.

    Args:
        served: The model.
        body: The request's JSON.
    """
    only(body, ("signature_name", "instances", "inputs"), "The request")
    _check_signature(body)
    if ("instances" in body) == ("inputs" in body):
        raise bad_request("The request must have either 'instances' or 'inputs'.")
    by_row = "instances" in body
    columns = (_columns_of_rows if by_row else _columns)(served.inputs, body)
    arrays = {s.name: from_json(s, columns[s.name], served.allow_nan) for s in served.inputs}
    return arrays, rows_of(arrays, served.fixed_rows), by_row


def _check_signature(body):
    name = body.get("signature_name", _SIGNATURE)
    if name not in ("", _SIGNATURE):
        raise bad_request(f"The model has no signature {name!r}; it has {_SIGNATURE!r}.")


def _columns_of_rows(specs: list[TensorSpec], body):
    instances = body["instances"]
    names = [spec.name for spec in specs]
    if not isinstance(instances, list) or not instances:
        raise bad_request("'instances' must be an array with one element for each row.")
    if len(names) == 1 and not _are_named(instances, names):
        return {names[0]: instances}
    for i, instance in enumerate(instances):
        if not isinstance(instance, dict) or set(instance) != set(names):
            got = sorted(instance) if isinstance(instance, dict) else kind(instance)
            raise bad_request(
                f"Each of 'instances' must be an object with the inputs {names}; number {i} is "
                f"{got}."
            )
    return {name: [instance[name] for instance in instances] for name in names}


def _are_named(instances, names):
    """Whether rows of the only input are objects by its name, and not files in base64."""
    first = instances[0]
    return isinstance(first, dict) and (set(first) != {"b64"} or names == ["b64"])


def _columns(specs, body):
    inputs = body["inputs"]
    names = [spec.name for spec in specs]
    if isinstance(inputs, dict):
        if set(inputs) != set(names):
            raise bad_request(f"'inputs' must have the inputs {names}; got {sorted(inputs)}.")
        return inputs
    if len(names) != 1:
        raise bad_request(f"'inputs' must be an object with the inputs {names}.")
    return {names[0]: inputs}


def predictions(outputs: dict[str, np.ndarray], by_row: bool) -> dict:
    """The answer to `:predict`.

    Args:
        outputs: Arrays by output.
        by_row: Whether the answer goes row by row.
    """
    columns = {name: to_json(array) for name, array in outputs.items()}
    if len(columns) == 1:
        only_one = next(iter(columns.values()))
        return {"predictions": only_one} if by_row else {"outputs": only_one}
    if not by_row:
        return {"outputs": columns}
    rows = zip(*columns.values(), strict=True)
    return {"predictions": [dict(zip(columns, row, strict=True)) for row in rows]}


def read_classify(served: ServedModel, body: dict) -> tuple[dict[str, np.ndarray], int]:
    """Arrays by input, and their rows.

    Args:
        served: The model.
        body: The request's JSON.
    """
    if served.class_names is None:
        raise bad_request(
            "The model's class names are not known, so use ':predict'. They are given as "
            "'class_names' in its options."
        )
    only(body, ("signature_name", "context", "examples"), "The request")
    _check_signature(body)
    examples, context = body.get("examples"), body.get("context", {})
    if not isinstance(examples, list) or not isinstance(context, dict):
        raise bad_request("The request must have 'examples', an array of objects by input.")
    rows = [{**context, **row} if isinstance(row, dict) else row for row in examples]
    arrays, count, _ = read_predict(served, {"instances": rows})
    return arrays, count


def classes(served: ServedModel, outputs: dict[str, np.ndarray]) -> dict:
    """The answer to `:classify`: for each row, pairs of a class and its score.

    Args:
        served: The model.
        outputs: Arrays by output.
    """
    names: Any = served.class_names
    (scores,) = outputs.values()
    rows = [[list(pair) for pair in zip(names, row, strict=True)] for row in to_json(scores)]
    return {"result": rows}
