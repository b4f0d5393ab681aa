"""`app`: models by name as one ASGI application."""

import importlib.util
import os
from collections.abc import Mapping
from typing import Any

from kerasish.core.errors import bad_argument

_NEEDED = ("starlette", "prometheus_client")


def app(
    models: Mapping[str, Any],
    max_batch: int = 64,
    max_wait_ms: float = 2.0,
    max_queue: int = 1024,
    max_body_mb: float = 32.0,
    api_key_file: str | os.PathLike | None = None,
    allow_nan: bool = False,
    poll_seconds: float = 2.0,
) -> Any:
    """An ASGI application that answers for models by HTTP. Any ASGI server runs it.

    It speaks TensorFlow Serving's REST interface (`/v1/models/NAME:predict`) and the Open Inference
    Protocol (`/v2/models/NAME/infer`); `/metrics` is for Prometheus and `/` for people. Models are
    loaded, and all sizes of batches compiled, before it returns. Needs the extra `serve`.

    Args:
        models: By name: a model, a `ServedModel`, what `keras.export.load` gave, the path of a
            model's file, or of a folder of numbered versions. Those are watched: the newest that
            loads takes over without a request that fails.
        max_batch: Rows computed at once, at most.
        max_wait_ms: Milliseconds that a request waits for others to be computed with, at most.
        max_queue: Rows that may wait for each model; more are answered with 503.
        max_body_mb: Megabytes (of 2**20 bytes) of a request's body, at most.
        api_key_file: A file with one key a line. Requests must then bear one of them, but for
            those to `/` and `/v2/health`.
        allow_nan: Whether inputs may hold NaN and infinities.
        poll_seconds: Seconds between looks at folders of versions.

    Returns:
        The application.

    Raises:
        ImportError: Starlette or prometheus-client is not installed.
        ValueError: A model does not load, or an argument is out of its range.

    Example:
        >>> from starlette.testclient import TestClient
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        >>> client = TestClient(app({"small": model}, max_batch=4))
        >>> answer = client.post("/v1/models/small:predict", json={"instances": [[1, 2, 3]]})
        >>> np.shape(answer.json()["predictions"])
        (1, 2)
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f"serve needs {' and '.join(missing)}: `pip install kerasish[serve]`.")
    from kerasish.serve.repository import Options
    from kerasish.serve.server import make_app

    for name, value in (("max_batch", max_batch), ("max_queue", max_queue)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise bad_argument("serve", name, "a positive integer", value)
    for name, value in (("max_wait_ms", max_wait_ms), ("poll_seconds", poll_seconds)):
        if not 0 <= value < float("inf"):
            raise bad_argument("serve", name, "a number, 0 or more", value)
    if not 0 < max_body_mb < float("inf"):
        raise bad_argument("serve", "max_body_mb", "a number over 0", max_body_mb)
    options = Options(max_batch, max_wait_ms / 1e3, max_queue, max(poll_seconds, 0.01), allow_nan)
    return make_app(models, options, int(max_body_mb * 2**20), api_key_file)
