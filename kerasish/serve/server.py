"""The routes of the server, and how each request is answered."""

import contextlib
import logging
import pathlib
import time
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from kerasish.serve import open_inference, tensorflow_rest
from kerasish.serve.api_keys import ApiKeys
from kerasish.serve.batching import Closed
from kerasish.serve.bodies import dump_json, parse_json, read_body
from kerasish.serve.errors import RequestError
from kerasish.serve.measures import Measures
from kerasish.serve.repository import Options, Repository
from kerasish.serve.specs import OPEN_INFERENCE

log = logging.getLogger("kerasish.serve")
_PAGE = pathlib.Path(__file__).with_name("page.html")
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def make_app(models: Any, options: Options, max_body: int, api_key_file: Any) -> Starlette:
    """The application of `kerasish.serve.app`.

    Args:
        models: Folders or files of models by name.
        options: Further arguments of `keras.serve`.
        max_body: Bytes of the largest request.
        api_key_file: File of keys, one a line.
    """
    measures = Measures()
    keys = ApiKeys(api_key_file)
    repository = Repository(models, options, measures.batch)
    server = Server(repository, measures, keys, max_body)

    @contextlib.asynccontextmanager
    async def lifespan(app):
        yield
        await run_in_threadpool(repository.close)

    found = Starlette(
        routes=server.routes(),
        lifespan=lifespan,
        exception_handlers={HTTPException: _no_such_route, Exception: _failed},
    )
    found.state.server = server
    return found


def _no_such_route(request, error):
    where = f"{request.method} {request.url.path}"
    known = "The server answers below /v1/models and /v2, /metrics and /."
    return _error(RequestError(error.status_code, f"No such route: {where}. {known}"))


def _failed(request, error):
    log.error("A request failed.", exc_info=error)
    return _error(RequestError(500, "The server failed to answer; its log says why."))


def _error(error):
    return _json({"error": str(error)}, error.status, error.headers)


def _json(value, status=200, headers=None):
    return Response(dump_json(value), status, headers, media_type="application/json")


class Server:
    """Answers to requests.

    Args:
        repository: The models.
        measures: What is counted.
        keys: Who may ask.
        max_body: Bytes of a request's body, at most.

    Attributes:
        draining: Whether it is about to end: it still answers, but is not ready for more, and ends
            each connection with the answer.
    """

    def __init__(self, repository: Repository, measures: Measures, keys: ApiKeys, max_body: int):
        self._repository, self._measures = repository, measures
        self._keys, self._max_body = keys, max_body
        self.draining = False

    def routes(self) -> list[Route]:
        """Starlette's routes."""
        found = []
        for end in ("", "/versions/{version}"):  # first what is asked for most
            one, two = f"/v1/models/{{name}}{end}", f"/v2/models/{{name}}{end}"
            found += [
                self._post(f"{one}:predict", "v1", self._predict),
                self._post(f"{two}/infer", "v2", self._infer),
                self._post(f"{one}:classify", "v1", self._classify),
                Route(f"{one}/metadata", self._guarded(self._v1_metadata)),
                Route(one, self._guarded(self._v1_status)),
                Route(f"{two}/ready", self._guarded(self._model_ready)),
                Route(two, self._guarded(self._v2_metadata)),
            ]
        return [
            *found,
            Route("/", self._page),
            Route("/status", self._guarded(self._status)),
            Route("/metrics", self._guarded(self._metrics)),
            Route("/v2", self._guarded(self._server_metadata)),
            Route("/v2/health/live", self._guarded(self._live, is_open=True)),
            Route("/v2/health/ready", self._guarded(self._ready, is_open=True)),
        ]

    def _guarded(self, answer: Callable, is_open=False):
        async def endpoint(request):
            try:
                if not is_open:
                    self._keys.check(request.headers.get("authorization"))
                response = await answer(request)
            except RequestError as error:
                response = _error(error)
            if self.draining:
                response.headers["Connection"] = "close"
            return response

        return endpoint

    def _post(self, path, protocol, answer):
        """A route that computes, counted and timed."""
        guarded = self._guarded(answer)

        async def endpoint(request):
            began, code = time.perf_counter(), 500
            try:
                response = await guarded(request)
                code = response.status_code
                return response
            finally:
                name = request.path_params["name"]
                if name in self._repository.entries:  # others would be series without end
                    self._measures.answered(name, protocol, code, time.perf_counter() - began)

        return Route(path, endpoint, methods=["POST"])

    # -- for people and programs that watch

    async def _page(self, request):
        return HTMLResponse(_PAGE.read_text(), headers=_PAGE_HEADERS)

    async def _status(self, request):
        return _json({"models": [self._describe(e) for e in self._repository.entries.values()]})

    def _describe(self, entry):
        found = {"name": entry.name, **self._measures.of(entry.name)}
        version = entry.current
        if version is None:
            return {**found, "version": None}
        served = version.served
        return {
            **found,
            "version": version.number,
            "queued": version.batcher.queued,
            "batches": served.compiled,
            "class_names": served.class_names,
            "inputs": [_plain(spec) for spec in served.inputs],
            "outputs": [_plain(spec) for spec in served.outputs],
        }

    async def _metrics(self, request):
        text = self._measures.text(self._repository)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _live(self, request):
        return _json({"live": True})

    async def _ready(self, request):
        ready = self._repository.ready and not self.draining
        return _json({"ready": ready}, 200 if ready else 503)

    # -- TensorFlow Serving's

    def _version(self, request):
        entry = self._repository.entry(request.path_params["name"])
        return entry.version(request.path_params.get("version"))

    async def _v1_status(self, request):
        entry = self._repository.entry(request.path_params["name"])
        return _json(tensorflow_rest.status(entry, request.path_params.get("version")))

    async def _v1_metadata(self, request):
        version = self._version(request)
        return _json(tensorflow_rest.metadata(request.path_params["name"], version))

    async def _compute(self, request, read):
        """What `read(served)` gave, its outputs, and the version that made them."""
        while True:
            version = self._version(request)
            found = read(version.served)
            with contextlib.suppress(Closed):  # another has just taken over
                return found, await version.batcher(found[0], found[1]), version

    async def _predict(self, request: Request):
        self._version(request)
        body = await read_body(request, self._max_body)

        def read(served):
            return tensorflow_rest.read_predict(served, parse_json(body, served.allow_nan))

        (_, _, by_row), outputs, _ = await self._compute(request, read)
        return _json(tensorflow_rest.predictions(outputs, by_row))

    async def _classify(self, request: Request):
        self._version(request)
        body = await read_body(request, self._max_body)

        def read(served):
            return tensorflow_rest.read_classify(served, parse_json(body, served.allow_nan))

        _, outputs, version = await self._compute(request, read)
        return _json(tensorflow_rest.classes(version.served, outputs))

    # -- the Open Inference Protocol's

    async def _server_metadata(self, request):
        return _json({"name": "kerasish", "version": "2", "extensions": ["binary_tensor_data"]})

    async def _v2_metadata(self, request):
        version = self._version(request)
        return _json(open_inference.metadata(request.path_params["name"], version))

    async def _model_ready(self, request):
        self._version(request)
        return _json({"name": request.path_params["name"], "ready": True})

    async def _infer(self, request: Request):
        self._version(request)
        body = await read_body(request, self._max_body)
        header_length = request.headers.get(open_inference.HEADER)

        def read(served):
            open_inference.check_output_types(served)
            found = open_inference.InferRequest(served, body, header_length)
            return found.arrays, found.rows, found

        (_, _, asked), outputs, version = await self._compute(request, read)
        text, headers = asked.answer(request.path_params["name"], version, outputs)
        return Response(text, 200, headers)


def _plain(spec):
    found = {"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)}
    found["datatype"] = OPEN_INFERENCE.get(spec.dtype, spec.dtype)
    found["says"] = spec.say()
    if spec.image is not None:
        found["image"] = {"low": spec.image.low, "high": spec.image.high}
    return found
