"""The Open Inference Protocol, version 2, over REST: metadata and infer, binary tensors too."""

import struct
from typing import Any

import numpy as np

from kerasish.serve.bodies import dump_json, kind, only, parse_json
from kerasish.serve.errors import RequestError, bad_request
from kerasish.serve.repository import Version
from kerasish.serve.served_model import ServedModel
from kerasish.serve.specs import OPEN_INFERENCE, TensorSpec
from kerasish.serve.tensors import (
    decode_image,
    decode_string,
    from_array,
    from_images,
    from_json,
    rows_of,
    to_json,
)

HEADER = "Inference-Header-Content-Length"


def metadata(name: str, version: Version) -> dict:
    """The answer to `GET /v2/models/NAME`.

    Args:
        name: Name of the model.
        version: Number of the version.
    """
    served = version.served
    return {
        "name": name,
        "versions": [version.number],
        "platform": "kerasish_jax",
        "inputs": [_entry(spec) for spec in served.inputs],
        "outputs": [_entry(spec) for spec in served.outputs],
    }


def _entry(spec):
    datatype = OPEN_INFERENCE.get(spec.dtype, spec.dtype.upper())
    return {"name": spec.name, "datatype": datatype, "shape": spec.open_shape}


class InferRequest:
    """A request to infer, read and checked.

    Attributes:
        arrays: Arrays by input.
        rows: Rows of each.
    """

    def __init__(self, served: ServedModel, body: bytes, header_length: str | None):
        self._served = served
        text, self._binary = _divided(body, header_length)
        self._body = parse_json(text, served.allow_nan)
        only(self._body, ("id", "parameters", "inputs", "outputs"), "The request")
        identity = self._body.get("id", "")
        if not isinstance(identity, str):
            raise bad_request(f"'id' must be a string; it is {kind(identity)}.")
        self._outputs = self._requested()
        self.arrays = self._read()
        self.rows = rows_of(self.arrays, served.fixed_rows)

    def _read(self):
        specs = {spec.name: spec for spec in self._served.inputs}
        inputs = self._body.get("inputs")
        if not isinstance(inputs, list) or not all(isinstance(x, dict) for x in inputs):
            raise bad_request("'inputs' must be an array of objects.")
        names = [tensor.get("name") for tensor in inputs]
        if not all(isinstance(n, str) for n in names) or sorted(names) != sorted(specs):
            raise bad_request(
                f"'inputs' must be those named {list(specs)}, once each; got {names}."
            )
        found, start = {}, 0
        for tensor in inputs:
            spec = specs[tensor["name"]]
            size = _parameters(tensor).get("binary_data_size")
            if size is None:
                found[spec.name] = _from_data(spec, tensor, self._served.allow_nan)
                continue
            if not isinstance(size, int) or isinstance(size, bool) or size < 0:
                raise bad_request(
                    f"Input {spec.name!r}: 'binary_data_size' must be a size in bytes."
                )
            data = self._binary[start : start + size]
            if len(data) != size:
                raise bad_request(
                    f"Input {spec.name!r}: {size} bytes must follow the JSON; {len(data)} do."
                )
            found[spec.name] = _from_bytes(spec, tensor, data, self._served.allow_nan)
            start += size
        if start != len(self._binary):
            raise bad_request(f"{len(self._binary) - start} bytes follow that belong to no input.")
        return {name: found[name] for name in specs}

    def _requested(self):
        """Names of the outputs asked for, each with whether it shall be binary."""
        default = bool(_parameters(self._body).get("binary_data_output", False))
        names = [spec.name for spec in self._served.outputs]
        wanted = self._body.get("outputs")
        if wanted is None:
            return dict.fromkeys(names, default)
        if not isinstance(wanted, list) or not all(isinstance(x, dict) for x in wanted):
            raise bad_request("'outputs' must be an array of objects.")
        found = {}
        for tensor in wanted:
            name = tensor.get("name")
            if name not in names:
                raise bad_request(f"The model has no output {name!r}; it has {names}.")
            found[name] = bool(_parameters(tensor).get("binary_data", default))
        return found

    def answer(self, name: str, version: Version, outputs: dict) -> tuple[bytes, dict[str, str]]:
        """The body of the answer, and its headers.

        Args:
            name: Name of the model.
            version: Number of the version.
            outputs: Arrays by output.
        """
        tensors, tail = [], []
        for spec in version.served.outputs:
            if spec.name not in self._outputs:
                continue
            array = outputs[spec.name]
            tensor: dict[str, Any] = {
                "name": spec.name,
                "datatype": OPEN_INFERENCE[spec.dtype],
                "shape": list(array.shape),
            }
            if self._outputs[spec.name]:
                tail.append(_to_bytes(spec, array))
                tensor["parameters"] = {"binary_data_size": len(tail[-1])}
            else:
                tensor["data"] = to_json(array.reshape(-1))
            tensors.append(tensor)
        body = {"model_name": name, "model_version": version.number, "outputs": tensors}
        if "id" in self._body:
            body["id"] = self._body["id"]
        text = dump_json(body)
        if not tail:
            return text, {"Content-Type": "application/json"}
        headers = {"Content-Type": "application/octet-stream", HEADER: str(len(text))}
        return b"".join([text, *tail]), headers


def _divided(body, header_length):
    """The JSON and what follows it."""
    if header_length is None:
        return body, b""
    if not header_length.isdecimal() or not 0 < int(header_length) <= len(body):
        raise bad_request(
            f"{HEADER} must be the length of the JSON, at most that of the body, {len(body)}; it "
            f"is {header_length[:40]!r}."
        )
    return body[: int(header_length)], body[int(header_length) :]


def _parameters(tensor):
    parameters = tensor.get("parameters", {})
    if not isinstance(parameters, dict):
        raise bad_request(f"'parameters' must be an object; it is {kind(parameters)}.")
    return parameters


def _shape(spec, tensor):
    """The shape that a request gives its input, once its type has been checked."""
    only(tensor, ("name", "shape", "datatype", "parameters", "data"), f"Input {spec.name!r}")
    wanted, given = OPEN_INFERENCE[spec.dtype], tensor.get("datatype")
    if given != wanted and not (given == "BYTES" and spec.image is not None):
        raise bad_request(f"Input {spec.name!r} must have datatype {wanted!r}; got {given!r}.")
    shape = tensor.get("shape")
    fits = isinstance(shape, list) and all(
        isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 2**31 for n in shape
    )
    if not fits:
        raise bad_request(f"Input {spec.name!r}: 'shape' must be an array of sizes.")
    if given != "BYTES" or spec.image is None:
        if not spec.fits(tuple(shape)):
            raise bad_request(
                f"Input {spec.name!r} must be {spec.say()}; got shape {tuple(shape)}."
            )
    elif len(shape) != 1:
        raise bad_request(f"Input {spec.name!r}: files of images have shape (batch,).")
    return tuple(shape)


def _size(shape):
    size = 1
    for n in shape:
        size *= n
    return size


def _from_data(spec: TensorSpec, tensor, allow_nan):
    shape = _shape(spec, tensor)
    data = tensor.get("data")
    if not isinstance(data, list):
        raise bad_request(f"Input {spec.name!r}: 'data' must be an array; it is {kind(data)}.")
    if tensor["datatype"] == "BYTES" and spec.image is not None:
        files = [x if isinstance(x, dict) else {"b64": x} for x in data]
        _check_count(spec, shape, len(files))
        return from_json(spec, files, allow_nan)
    if data and isinstance(data[0], list):
        array = from_json(spec, data, allow_nan)
        if array.shape != shape:
            raise bad_request(
                f"Input {spec.name!r}: 'data' has shape {array.shape}, and 'shape' says {shape}."
            )
        return array
    _check_count(spec, shape, len(data))
    flat = TensorSpec(spec.name, (None,), spec.dtype)
    return from_array(spec, from_json(flat, data, allow_nan).reshape(shape), allow_nan)


def _check_count(spec, shape, count):
    if _size(shape) != count:
        raise bad_request(
            f"Input {spec.name!r}: shape {shape} needs {_size(shape)} values, not {count}."
        )


def _from_bytes(spec: TensorSpec, tensor, data, allow_nan):
    shape = _shape(spec, tensor)
    if "data" in tensor:
        raise bad_request(f"Input {spec.name!r} has both 'data' and 'binary_data_size'.")
    if tensor["datatype"] == "BYTES":
        parts = _strings(spec, data)
        _check_count(spec, shape, len(parts))
        if spec.image is not None:
            if not parts:
                raise bad_request(f"Input {spec.name!r}: got no row.")
            return from_images(spec, [decode_image(spec, part) for part in parts], allow_nan)
        array = np.empty(len(parts), object)
        array[:] = [decode_string(spec, part) for part in parts]
        return from_array(spec, array.reshape(shape), allow_nan)
    dtype = spec.numpy_dtype
    if len(data) != _size(shape) * dtype.itemsize:
        raise bad_request(
            f"Input {spec.name!r}: shape {shape} of {tensor['datatype']} needs "
            f"{_size(shape) * dtype.itemsize} bytes; got {len(data)}."
        )
    if dtype.kind == "b":
        array = np.frombuffer(data, "uint8").reshape(shape) != 0
    else:
        array = np.frombuffer(data, dtype).reshape(shape)
    return from_array(spec, array, allow_nan)


def _strings(spec, data):
    """Parts that each come after their length in four bytes."""
    parts, start = [], 0
    while start < len(data):
        if start + 4 > len(data):
            raise bad_request(f"Input {spec.name!r}: a length of four bytes is cut off.")
        (size,) = struct.unpack_from("<I", data, start)
        start += 4
        if start + size > len(data):
            raise bad_request(f"Input {spec.name!r}: a string is cut off.")
        parts.append(bytes(data[start : start + size]))
        start += size
    return parts


def _to_bytes(spec, array):
    if not spec.is_string:
        return np.ascontiguousarray(array).tobytes()
    parts = []
    for value in array.reshape(-1).tolist():
        text = value if isinstance(value, bytes) else str(value).encode()
        parts.append(struct.pack("<I", len(text)) + text)
    return b"".join(parts)


def check_output_types(served: ServedModel) -> None:
    """Refuse what the protocol has no name for.

    Args:
        served: The model.
    """
    for spec in served.outputs:
        if spec.dtype not in OPEN_INFERENCE:
            raise RequestError(
                501, f"Output {spec.name!r} is {spec.dtype}, which has no form here."
            )
