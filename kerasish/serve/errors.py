"""What a client is told when a request cannot be answered."""


class RequestError(ValueError):
    """An answer other than 200.

    Args:
        status: The HTTP status.
        message: One sentence: what the model wants and what came.
        headers: More headers of the answer.
    """

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None):
        super().__init__(message)
        self.status = status
        self.headers = headers or {}


def bad_request(message: str) -> RequestError:
    """The client must change the request.

    Args:
        message: What the client is told.
    """
    return RequestError(400, message)


def not_found(message: str) -> RequestError:
    """The request names what is not here.

    Args:
        message: What the client is told.
    """
    return RequestError(404, message)


def unavailable(message: str, seconds: int = 1) -> RequestError:
    """The same request may succeed after some seconds.

    Args:
        message: What the client is told.
        seconds: Seconds.
    """
    return RequestError(503, message, {"Retry-After": str(seconds)})
