"""`homerun connection`: what App Runner's console does for connections, for the engine that runs."""

import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from engine.api.attached import AttachedEngine
from engine.model.actions.connection import (
    Connection,
    ConnectionStatus,
    CreateConnectionRequest,
    DeleteConnectionRequest,
    ListConnectionsRequest,
    ProviderType,
)
from engine.model.actions.homerun import AuthorizeConnectionRequest
from engine.model.api import EngineApi
from engine.model.errors import HomerunError
from engine.model.home import Home
from tui.presenters.connections import name_problem, token_problem
from tui.private_key import read_private_key

T = TypeVar("T")

_STDIN_MAX = 8192


def show(home: Home) -> int:
    listed = _ask(home, lambda engine: engine.call(ListConnectionsRequest())).connection_summary_list
    if not listed:
        print("There are no connections. `homerun connection create NAME` makes one.", file=sys.stderr)
    for each in listed:
        print(f"{each.connection_name}  {_provider(each)}  {_status(each)}  {each.connection_arn}")
    return 0


def create(home: Home, name: str, provider: str) -> int:
    if problem := name_problem(name):
        raise HomerunError(problem)
    request = CreateConnectionRequest(connection_name=name, provider_type=ProviderType(provider.upper()))
    made = _ask(home, lambda engine: engine.call(request)).connection
    print(made.connection_arn)
    print(f"Complete its handshake with `homerun connection authorize {name}`.", file=sys.stderr)
    return 0


def authorize(home: Home, name: str, ssh_key: Path | None) -> int:
    """The token is asked for, or read from stdin where that is no terminal: never an argument, for all to see."""
    key = _read_key(ssh_key) if ssh_key else None
    token = None if ssh_key else _read_token(name)

    async def call(engine: EngineApi) -> Connection:
        arn = (await _named(engine, name)).connection_arn or ""
        request = AuthorizeConnectionRequest(connection_arn=arn, token=token, ssh_private_key=key)
        return (await engine.call(request)).connection

    print(f"{name} is {_status(_ask(home, call))}.", file=sys.stderr)
    return 0


def delete(home: Home, name: str) -> int:
    async def call(engine: EngineApi) -> None:
        arn = (await _named(engine, name)).connection_arn or ""
        await engine.call(DeleteConnectionRequest(connection_arn=arn))

    _ask(home, call)
    print(f"{name} is deleted, and what was stored for it.", file=sys.stderr)
    return 0


def _ask(home: Home, question: Callable[[EngineApi], Awaitable[T]]) -> T:
    """Raises HomerunError, also for an engine that does not run."""

    async def run() -> T:
        try:
            async with await AttachedEngine.connect(home.engine_socket) as engine:
                return await question(engine)
        except ConnectionError as error:
            raise HomerunError(f"No engine runs on {home.path}: start it with `homerun` or `homerun serve`.") from error

    return asyncio.run(run())


async def _named(engine: EngineApi, name: str) -> Connection:
    everything = (await engine.call(ListConnectionsRequest())).connection_summary_list
    listed = [each for each in everything if each.connection_name == name]
    if not listed:
        raise HomerunError(f"There is no connection named {name}. `homerun connection list` says which there are.")
    return listed[0]


def _read_token(name: str) -> str:
    given = getpass.getpass(f"Access token for {name}: ") if sys.stdin.isatty() else sys.stdin.read(_STDIN_MAX)
    token = given.strip()
    if not token:
        raise HomerunError("No token was given.")
    if "\n" in token:
        raise HomerunError("Several lines were given; a token is one.")
    if problem := token_problem(token):
        raise HomerunError(problem)
    return token


def _read_key(path: Path) -> str:
    try:
        return read_private_key(str(path))
    except ValueError as error:
        raise HomerunError(str(error)) from error


def _provider(connection: Connection) -> str:
    return connection.provider_type.value if connection.provider_type else ""


def _status(connection: Connection) -> str:
    return connection.status.value if connection.status else ConnectionStatus.ERROR.value
