"""The routes of the server, and how each request is answered."""

import contextlib
import logging
import pathlib
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from kerasish.serve import open_inference, tensorflow_rest
from kerasish.serve.api_keys import ApiKeys
from kerasish.serve.batching import Closed
from kerasish.serve.bodies import dump_json, parse_json
from kerasish.serve.computing import FAILED, Asked, Computing
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

    found = Application(
        routes=server.routes(),
        lifespan=lifespan,
        exception_handlers={HTTPException: _no_such_route, Exception: _failed},
    )
    found.state.server = server
    return found


class Application(Starlette):
    """The routes, and a short way to those that compute.

    What most requests ask for is found by their path alone. Where middleware has been added, all
    go through it.
    """

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if not self.user_middleware and scope["type"] == "http" and scope["method"] == "POST":
            found = self.state.server.short_ways.get(scope["path"])
            if found is not None:
                computing, scope["path_params"] = found
                await computing(scope, receive, send)
                return
        await super().__call__(scope, receive, send)


def _no_such_route(request, error):
    where = f"{request.method} {request.url.path}"
    known = "The server answers below /v1/models and /v2, /metrics and /."
    return _error(RequestError(error.status_code, f"No such route: {where}. {known}"))


def _failed(request, error):
    log.error("A request failed.", exc_info=error)
    return _error(RequestError(500, FAILED))


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
        short_ways: Paths of requests that compute with the present version of a model, to what
            answers them, and the parameters that the path has.
    """

    def __init__(self, repository: Repository, measures: Measures, keys: ApiKeys, max_body: int):
        self.repository, self.measures = repository, measures
        self.keys, self.max_body = keys, max_body
        self.draining = False
        self._computing = {
            "/v1/models/{name}%s:predict": Computing(self, "v1", self._predict),
            "/v2/models/{name}%s/infer": Computing(self, "v2", self._infer),
            "/v1/models/{name}%s:classify": Computing(self, "v1", self._classify),
        }
        self.short_ways = {
            (path % "").format(name=name): (computing, {"name": name})
            for path, computing in self._computing.items()
            for name in repository.models
        }

    def routes(self) -> list[Route]:
        """Starlette's routes."""
        found = []
        for end in ("", "/versions/{version}"):  # first what is asked for most
            one, two = f"/v1/models/{{name}}{end}", f"/v2/models/{{name}}{end}"
            found += [
                *(Route(p % end, c, methods=["POST"]) for p, c in self._computing.items()),
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
                    self.keys.check(request.headers.get("authorization"))
                response = await answer(request)
            except RequestError as error:
                response = _error(error)
            if self.draining:
                response.headers["Connection"] = "close"
            return response

        return endpoint

    # -- for people and programs that watch

    async def _page(self, request):
        return HTMLResponse(_PAGE.read_text(), headers=_PAGE_HEADERS)

    async def _status(self, request):
        return _json({"models": [self._describe(e) for e in self.repository.models.values()]})

    def _describe(self, model):
        found = {"name": model.name, **self.measures.of(model.name)}
        version = model.current
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
        text = self.measures.text(self.repository)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _live(self, request):
        return _json({"live": True})

    async def _ready(self, request):
        ready = self.repository.ready and not self.draining
        return _json({"ready": ready}, 200 if ready else 503)

    # -- TensorFlow Serving's

    def _version(self, request):
        model = self.repository.model(request.path_params["name"])
        return model.version(request.path_params.get("version"))

    async def _v1_status(self, request):
        model = self.repository.model(request.path_params["name"])
        return _json(tensorflow_rest.status(model, request.path_params.get("version")))

    async def _v1_metadata(self, request):
        version = self._version(request)
        return _json(tensorflow_rest.metadata(request.path_params["name"], version))

    async def _compute(self, asked, read):
        """What `read(served)` gave, its outputs, and the version that made them."""
        while True:
            version = asked.version
            found = read(version.served)
            try:
                return found, await version.batcher(found[0], found[1]), version
            except Closed:  # another has just taken over
                continue

    async def _predict(self, asked: Asked):
        def read(served):
            return tensorflow_rest.read_predict(served, parse_json(asked.body, served.allow_nan))

        (_, _, by_row), outputs, _ = await self._compute(asked, read)
        return dump_json(tensorflow_rest.predictions(outputs, by_row)), {}

    async def _classify(self, asked: Asked):
        def read(served):
            return tensorflow_rest.read_classify(served, parse_json(asked.body, served.allow_nan))

        _, outputs, version = await self._compute(asked, read)
        return dump_json(tensorflow_rest.classes(version.served, outputs)), {}

    # -- the Open Inference Protocol's

    async def _server_metadata(self, request):
        return _json({"name": "kerasish", "version": "2", "extensions": ["binary_tensor_data"]})

    async def _v2_metadata(self, request):
        version = self._version(request)
        return _json(open_inference.metadata(request.path_params["name"], version))

    async def _model_ready(self, request):
        self._version(request)
        return _json({"name": request.path_params["name"], "ready": True})

    async def _infer(self, asked: Asked):
        header_length = asked.headers.get(open_inference.HEADER.lower().encode())

        def read(served):
            open_inference.check_output_types(served)
            found = open_inference.InferRequest(
                served,
                asked.body,
                None if header_length is None else header_length.decode("latin-1"),
            )
            return found.arrays, found.rows, found

        (_, _, request), outputs, version = await self._compute(asked, read)
        return request.answer(asked.name, version, outputs)


def _plain(spec):
    found = {"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)}
    found["datatype"] = OPEN_INFERENCE.get(spec.dtype, spec.dtype)
    found["says"] = spec.say()
    if spec.image is not None:
        found["image"] = {"low": spec.image.low, "high": spec.image.high}
    return found
