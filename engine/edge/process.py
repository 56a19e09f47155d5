"""The edge's process from its arguments to its exit code. It outlives the engine that started it."""

import argparse
import asyncio
import errno
import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from engine.edge.address import parse_address
from engine.edge.control import ControlServer
from engine.edge.file_limit import raise_file_limit
from engine.edge.record import EdgeRecord, own_start_time, private_folder, remove_record, write_record
from engine.edge.server import Edge

EXIT_USAGE = 2
EXIT_FAILED = 70
EXIT_ADDRESS_IN_USE = 98
"""EADDRINUSE on Linux; here on every platform."""
SIGTERM_GRACE_S = 5.0

_log = logging.getLogger(__name__)


def main(argv: Sequence[str]) -> int:
    """Run until stopped. Gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m engine.edge", description="Homerun's data plane.")
    parser.add_argument(
        "--listen", required=True, metavar="HOST:PORT", help="where HTTP is accepted; port 0: a free one"
    )
    parser.add_argument("--control", required=True, type=Path, metavar="SOCKET", help="Unix socket for the engine")
    parser.add_argument("--record", required=True, type=Path, metavar="FILE", help="written once the edge listens")
    arguments = parser.parse_args(argv)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s edge[%(process)d] %(levelname)s %(message)s"
    )
    try:
        host, port = parse_address(arguments.listen)
    except ValueError as error:
        _log.error("%s", error)
        return EXIT_USAGE
    for ignored in (signal.SIGHUP, signal.SIGINT):
        signal.signal(ignored, signal.SIG_IGN)
    raise_file_limit()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)  # connections free themselves; the collector only has leftovers to find
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run(host, port, arguments.control, arguments.record))


async def run(host: str, port: int, control_path: Path, record_path: Path) -> int:
    """Serve until SIGTERM or a Stop message. Gives the exit code."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[float] = loop.create_future()

    def ask_to_stop(grace_s: float) -> None:
        if not stop.done():
            stop.set_result(grace_s)

    loop.add_signal_handler(signal.SIGTERM, ask_to_stop, SIGTERM_GRACE_S)
    edge = Edge(loop)
    control = ControlServer(edge, ask_to_stop)
    try:
        await edge.listen(host, port)
    except OSError as error:
        _log.error("The edge cannot listen on %s:%d: %s.", host, port, error.strerror)
        return EXIT_ADDRESS_IN_USE if error.errno == errno.EADDRINUSE else EXIT_FAILED
    try:
        private_folder(control_path.parent)
        await control.listen(control_path)
        record = EdgeRecord(
            pid=os.getpid(), started_at=own_start_time(), address=edge.address, control=os.fspath(control_path)
        )
        write_record(record_path, record)
        _log.info("Listening on %s", edge.address)
        grace_s = await stop
        _log.info("Stopping: requests in flight may take %g s more", grace_s)
        await edge.stop(grace_s)
    except OSError as error:
        _log.error("The edge cannot start: %s", error)
        await edge.stop(0.0)
        return EXIT_FAILED
    finally:
        await control.close()
        remove_record(record_path, os.getpid())
    return 0
