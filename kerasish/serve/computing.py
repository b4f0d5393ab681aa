"""Requests that are computed, as bare ASGI: with small models, Python is what a request costs."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from kerasish.serve.api_keys import ApiKeys
from kerasish.serve.bodies import ClientGone, dump_json, read_body
from kerasish.serve.errors import RequestError
from kerasish.serve.measures import Measures
from kerasish.serve.repository import Repository, Version

log = logging.getLogger("kerasish.serve")
FAILED = "The server failed to answer; its log says why."


class Asked:
    """A request to compute something.

    Args:
        name: The model's name.
        headers: Its headers, by their names in lower case.
        body: Its body.
        find_version: Function that gives the version to ask now.
    """

    __slots__ = ("_find_version", "body", "headers", "name")

    def __init__(
        self,
        name: str,
        headers: Mapping[bytes, bytes],
        body: bytes,
        find_version: Callable[[], Version],
    ):
        self.name, self.headers, self.body = name, headers, body
        self._find_version = find_version

    @property
    def version(self) -> Version:
        """The version that is to answer now; another one may have taken over since."""
        return self._find_version()


class Computing:
    """The ASGI application of one kind of request: who may ask, its body, its answer, its time.

    Args:
        server: The server: `repository`, `measures`, `keys`, `max_body`, `draining`.
        protocol: Name of the protocol, for what is counted.
        answer: Gives the body of the answer and its headers.
    """

    def __init__(
        self,
        server: Any,
        protocol: str,
        answer: Callable[[Asked], Awaitable[tuple[bytes, Mapping[str, str]]]],
    ):
        self._server, self._protocol, self._answer = server, protocol, answer
        self._repository: Repository = server.repository
        self._measures: Measures = server.measures
        self._keys: ApiKeys = server.keys

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        began, status = time.perf_counter(), 500
        name = scope["path_params"]["name"]
        try:
            try:
                text, more = await self._answered(scope, receive)
                status = 200
            except RequestError as error:
                status, text, more = error.status, dump_json({"error": str(error)}), error.headers
            except ClientGone:
                return
            except Exception:
                log.exception("A request failed.")
                text, more = dump_json({"error": FAILED}), {}
            await self._send(send, status, text, more)
        finally:
            if name in self._repository.models:  # others would be series without end
                seconds = time.perf_counter() - began
                self._measures.answered(name, self._protocol, status, seconds)

    async def _answered(self, scope, receive):
        headers = dict(scope["headers"])
        self._keys.check(headers.get(b"authorization", b"").decode("latin-1"))
        params = scope["path_params"]
        model, number = self._repository.model(params["name"]), params.get("version")

        def find_version():
            return model.version(number)

        find_version()  # an unknown one is said before the body is read
        body = await read_body(headers, receive, self._server.max_body)
        return await self._answer(Asked(params["name"], headers, body, find_version))

    async def _send(self, send, status, text, more):
        headers = [(b"content-length", b"%d" % len(text))]
        if "Content-Type" not in more:
            headers.append((b"content-type", b"application/json"))
        for key, value in more.items():
            headers.append((key.lower().encode("latin-1"), value.encode("latin-1")))
        if self._server.draining:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text})
