"""Arrays from what requests hold, checked against what the model takes."""

import base64
import binascii
import io
from typing import Any

import numpy as np

from kerasish.serve.bodies import kind
from kerasish.serve.errors import RequestError, bad_request
from kerasish.serve.specs import TensorSpec

_PIXELS = 64 * 2**20  # of an image that comes as a file, at most: small files can claim a lot


def from_json(spec: TensorSpec, values: Any, allow_nan: bool = False) -> np.ndarray:
    """An input's array, from nested lists of one row for each row of the batch.

    Args:
        spec: Shape and type of the input.
        values: Nested lists.
        allow_nan: Whether NaN and infinities are taken.
    """
    if not isinstance(values, list):
        raise bad_request(f"{_wants(spec)}; got {kind(values)}.")
    if spec.image is not None and _holds_files(values):
        rows = [_image(spec, value) for value in values]
        return from_images(spec, rows, allow_nan)
    if spec.is_string:
        strings = _strings(spec, values)
        if strings.ndim == 1 and spec.shape[1:] == (1,):  # one string a row, as one writes it
            strings = strings[:, None]
        return _checked(spec, strings, allow_nan)
    if not values:
        raise _empty(spec)
    return _checked(spec, _numbers(spec, values), allow_nan)


def _wants(spec):
    return f"Input {spec.name!r} must be {spec.say()}"


def _empty(spec):
    return bad_request(f"{_wants(spec)}; got no row.")


def _holds_files(values):
    return any(isinstance(value, dict) for value in values)


def _numbers(spec, values):
    try:
        array = np.array(values)
    except (ValueError, TypeError, OverflowError):
        raise bad_request(f"{_wants(spec)}; got rows of unequal shapes.") from None
    except RecursionError:
        raise bad_request(f"{_wants(spec)}; got arrays nested too deep.") from None
    if array.dtype.kind not in "biuf":
        raise bad_request(f"{_wants(spec)}; got {_culprit(array)}.")
    return array


def _culprit(array):
    """What is no number in an array of whatever came."""
    if array.dtype.kind == "U":
        return "strings"
    for value in array.ravel().tolist():
        if value is None or isinstance(value, str | list | dict):
            return kind(value)
        if isinstance(value, int) and not -(2**63) <= value < 2**64:
            return "a number that is too large"
    return f"values of type {array.dtype}"


def _strings(spec, values):
    found: list = []
    shape = _collect(spec, values, found)
    array = np.empty(len(found), object)
    array[:] = found
    return array.reshape(shape)


def _collect(spec, values, found, depth=0):
    """Put strings in nested lists in a flat one; the lists' shape."""
    if depth > 32:
        raise bad_request(f"{_wants(spec)}; got arrays nested too deep.")
    if not isinstance(values, list):
        found.append(_string(spec, values))
        return ()
    shapes = {_collect(spec, value, found, depth + 1) for value in values}
    if len(shapes) > 1:
        raise bad_request(f"{_wants(spec)}; got rows of unequal shapes.")
    return (len(values), *(shapes.pop() if shapes else ()))


def _string(spec, value):
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return decode_string(spec, decoded(spec, value))
    raise bad_request(f"{_wants(spec)}; got {kind(value)}.")


def decode_string(spec: TensorSpec, value: bytes) -> str:
    """A string from its bytes in UTF-8.

    Args:
        spec: Shape and type of the input.
        value: The value.
    """
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise bad_request(f"{_wants(spec)} in UTF-8; got other bytes.") from None


def decoded(spec: TensorSpec, value: dict) -> bytes:
    """The bytes that `{"b64": "..."}` stands for.

    Args:
        spec: Shape and type of the input.
        value: The value.
    """
    if set(value) != {"b64"} or not isinstance(value["b64"], str):
        raise bad_request(
            f'{_wants(spec)}; got an object that is not of the form {{"b64": "..."}}.'
        )
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, ValueError):
        raise bad_request(f"Input {spec.name!r}: the value of 'b64' is not base64.") from None


def _image(spec, value):
    """An image's numbers, from a file in base64."""
    if not isinstance(value, dict):
        raise bad_request(f"{_wants(spec)}, or files in base64; got both in one request.")
    return decode_image(spec, decoded(spec, value))


def decode_image(spec: TensorSpec, data: bytes) -> np.ndarray:
    """An image's numbers, from a PNG's or JPEG's bytes.

    Args:
        spec: Shape and type of the input.
        data: The bytes.
    """
    try:
        from PIL import Image
    except ImportError:
        raise RequestError(
            501, "Images in files need Pillow on the server: `pip install kerasish[image]`."
        ) from None
    options = spec.image
    assert options is not None
    height, width, channels = spec.shape[1:]
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
            if image.width * image.height > _PIXELS:
                raise bad_request(f"Input {spec.name!r}: the image has more than {_PIXELS} pixels.")
            converted = image.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels])
    except RequestError:
        raise
    except Exception:  # whatever Pillow makes of broken files
        raise bad_request(
            f"Input {spec.name!r}: 'b64' is no PNG or JPEG that can be read."
        ) from None
    wanted = (width or converted.width, height or converted.height)
    if options.resize and converted.size != wanted:
        converted = converted.resize(wanted, Image.Resampling.BILINEAR)
    pixels = np.asarray(converted, "float32").reshape(converted.height, converted.width, channels)
    pixels = options.low + pixels * ((options.high - options.low) / 255)
    return pixels.astype(spec.numpy_dtype)


def from_images(spec: TensorSpec, rows: list, allow_nan: bool = False) -> np.ndarray:
    """An input's array, from the numbers of images, one a row.

    Args:
        spec: Shape and type of the input.
        rows: Images' numbers, one a row.
        allow_nan: Whether NaN and infinities are taken.
    """
    if len({row.shape for row in rows}) > 1:
        raise bad_request(f"{_wants(spec)}; got images of unequal sizes.")
    return _checked(spec, np.stack(rows), allow_nan)


def _checked(spec, array, allow_nan):
    """The array in the input's type, if it has its shape and its numbers fit."""
    if array.ndim and array.shape[0] == 0:
        raise _empty(spec)
    if not spec.fits(array.shape):
        raise bad_request(f"{_wants(spec)}; got shape {array.shape}.")
    return array if spec.is_string else _as_type(spec, array, allow_nan)


def _as_type(spec, array, allow_nan):
    kinds = {"b": "booleans", "i": "integers", "u": "integers", "f": "numbers with fractions"}
    wanted = spec.numpy_dtype
    is_float = wanted.kind in "fV"
    given = array.dtype.kind
    if is_float and given == "f" and array.size and max(array.max(), -array.min()) <= spec.largest:
        return array.astype(wanted, copy=False)  # as nearly always; NaN is not `<=`
    if (wanted.kind == "b") != (given == "b") or (given == "f" and not is_float):
        raise bad_request(f"{_wants(spec)}; got {kinds[given]}.")
    if given in "fV" and not allow_nan and not np.isfinite(array).all():
        raise bad_request(f"{_wants(spec)}, without NaN and infinities, which are forbidden here.")
    if wanted.kind in "iu" and array.dtype != wanted:
        limits = np.iinfo(wanted)
        if array.min() < limits.min or array.max() > limits.max:
            raise bad_request(f"{_wants(spec)}; got numbers beyond {limits.min} to {limits.max}.")
    if array.dtype == wanted:
        return array
    with np.errstate(over="ignore"):
        cast = array.astype(wanted)
    if is_float and not allow_nan and not np.isfinite(cast.astype("float32")).all():
        raise bad_request(f"{_wants(spec)}; got numbers too large for that.")
    return cast


def from_array(spec: TensorSpec, array: np.ndarray, allow_nan: bool = False) -> np.ndarray:
    """An input's array, from one of the input's type.

    Args:
        spec: Shape and type of the input.
        array: The array.
        allow_nan: Whether NaN and infinities are taken.
    """
    return _checked(spec, array, allow_nan)


def rows_of(arrays: dict[str, np.ndarray], fixed: int | None) -> int:
    """The number of rows, which all inputs must share.

    Args:
        arrays: Arrays by input.
        fixed: Rows that the model takes, if it takes one number only.
    """
    counts = {name: array.shape[0] for name, array in arrays.items()}
    if len(set(counts.values())) != 1:
        raise bad_request(f"All inputs must have the same number of rows; got {counts}.")
    rows = next(iter(counts.values()))
    if fixed and rows > fixed:
        raise bad_request(f"The model takes at most {fixed} rows at once; got {rows}.")
    return rows


def to_json(array: np.ndarray) -> Any:
    """Nested lists of plain numbers or strings.

    Args:
        array: The array.
    """
    if array.dtype.kind in "fV" and array.dtype.itemsize < 4:
        array = array.astype("float32")
    if array.dtype.kind == "c":
        raise RequestError(501, "The model gives complex numbers, for which JSON has no form.")
    values = array.tolist()
    return _texts(values) if array.dtype.kind in "OS" else values


def _texts(values):
    if isinstance(values, list):
        return [_texts(value) for value in values]
    return values.decode(errors="replace") if isinstance(values, bytes) else values
