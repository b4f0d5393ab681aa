"""Serve models over HTTP.

    python -m kerasish.serve digits=model.keras
    python -m kerasish.serve digits=versions/ other=model.zip --host 127.0.0.1 --port 8501

A folder with numbered folders (versions/1, versions/2) is watched: the newest version that loads
takes over. After SIGTERM the server is no longer ready (/v2/health/ready), still answers for some
seconds while those who ask go elsewhere, and ends once it has answered what it has accepted.
"""

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence

from kerasish.serve.application import app


def arguments(args: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line says."""
    first, *rest = (__doc__ or "").split("\n", 1)
    parser = argparse.ArgumentParser(
        prog="python -m kerasish.serve",
        description=first,
        epilog="".join(rest),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    return parser.parse_args(args)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the server takes to a parser."""
    parser.add_argument("models", nargs="+", metavar="NAME=PATH", type=_named_path)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8501, help="port to listen at (8501)")
    add = parser.add_argument
    add("--max-batch", type=int, default=64, metavar="ROWS", help="computed at once (64)")
    add("--max-wait-ms", type=float, default=2.0, metavar="MS", help="for others to come (2)")
    add("--max-queue", type=int, default=1024, metavar="ROWS", help="that may wait (1024)")
    add("--max-body-mb", type=float, default=32.0, metavar="MB", help="of a request (32)")
    add("--api-key-file", metavar="FILE", help="keys, one a line; requests must bear one")
    add("--allow-nan", action="store_true", help="let inputs hold NaN and infinities")
    add("--poll-seconds", type=float, default=2.0, help="between looks at folders of versions (2)")
    add(
        "--import",
        dest="modules",
        action="append",
        default=[],
        metavar="MODULE",
        help="with classes of one's own, registered, that models use; may be given again",
    )
    add("--drain-seconds", type=float, default=2.0, help="to still answer after SIGTERM (2)")
    add("--log-level", default="info", choices=["debug", "info", "warning", "error"])


def _named_path(text):
    name, found, path = text.partition("=")
    if not found or not name or not path:
        raise argparse.ArgumentTypeError(f"must be NAME=PATH; got {text!r}")
    return name, path


def main() -> None:
    """Do what the command line says."""
    run(arguments())


def run(options: argparse.Namespace) -> None:
    """Load the models, compile, and serve until a signal says to end."""
    level = options.log_level.upper()
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        import uvicorn

        from kerasish.serve.draining import DrainingServer
    except ImportError:
        sys.exit("serve needs uvicorn: `pip install kerasish[serve]`.")
    names = [name for name, _ in options.models]
    if len(set(names)) != len(names):
        sys.exit(f"serve: each name may be given once; got {names}.")
    try:
        for module in options.modules:
            importlib.import_module(module)
        application = app(
            dict(options.models),
            options.max_batch,
            options.max_wait_ms,
            options.max_queue,
            options.max_body_mb,
            options.api_key_file,
            options.allow_nan,
            options.poll_seconds,
        )
    except (ImportError, OSError, ValueError, TypeError) as error:
        sys.exit(str(error))
    config = uvicorn.Config(
        application,
        host=options.host,
        port=options.port,
        log_level=options.log_level,
        access_log=False,
        lifespan="on",
        ws="none",
    )
    DrainingServer(config, application.state.server, options.drain_seconds).run()


if __name__ == "__main__":
    main()
