"""A server's end: it answers what it has accepted, and lets those who ask go elsewhere."""

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from typing import Any

import uvicorn

_LAST_REQUESTS = 1.0  # seconds in which those who have just connected may still ask


class DrainingServer(uvicorn.Server):
    """uvicorn's server, which after SIGTERM still answers for some seconds.

    Meanwhile it is not ready, so that balancers send requests elsewhere, and each answer ends its
    connection. Then it takes no more connections, answers on those there are, and ends. SIGINT, or
    a second SIGTERM, ends it once it has answered what it is computing.

    Args:
        config: uvicorn's.
        server: The application's `Server`, which is told that it drains.
        seconds: How long to still take connections.
    """

    def __init__(self, config: uvicorn.Config, server: Any, seconds: float):
        super().__init__(config)
        self._server, self._seconds = server, seconds

    def handle_exit(self, sig: int, frame: Any) -> None:
        """What a signal does.

        Args:
            sig: Number of the signal.
            frame: Where the program was.
        """
        if sig != signal.SIGTERM or self._server.draining:
            super().handle_exit(sig, frame)
            return
        self._server.draining = True
        timer = threading.Timer(self._seconds, self._end)
        timer.daemon = True
        timer.start()

    def _end(self):
        self.should_exit = True

    async def shutdown(self, sockets=None):
        """Take no more connections, answer on those there are, and end.

        Args:
            sockets: Sockets that are listened to.
        """
        loop = asyncio.get_running_loop()
        for connection in self._stop_listening():
            await loop.connect_accepted_socket(self._protocol, connection)
        until = time.monotonic() + (_LAST_REQUESTS if self._server.draining else 0)
        while self.server_state.connections and time.monotonic() < until:
            await asyncio.sleep(0.02)
        await super().shutdown(sockets)

    def _stop_listening(self):
        """The connections that the system has already accepted for us: closing would reset them."""
        accepted = []
        for server in self.servers:
            for listening in server.sockets:
                own = socket.socket(fileno=os.dup(listening.fileno()))
                with own, contextlib.suppress(OSError):  # raised where there are no more
                    while True:
                        accepted.append(own.accept()[0])
            server.close()
        for connection in accepted:
            connection.setblocking(False)
        return accepted

    def _protocol(self):
        return self.config.http_protocol_class(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
