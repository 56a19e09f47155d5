"""The `homerun` command: parses its arguments and hands over; nothing heavy is imported before it is needed."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from engine import __version__
from engine.model.errors import HomerunError
from engine.model.home import Home

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
_COMPUTES = ("auto", "process", "docker")
_AUTO = "; auto takes a container engine where one answers, else plain processes"

EPILOG = """\
environment:
  HOMERUN_HOME   the data folder, where --home is not given

`homerun` alone opens the screen. In it, ? shows every key and n creates a service.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The console script. Returns the exit code: 0 fine, 1 failed (reason on stderr), 2 wrong usage."""
    arguments = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
    except HomerunError as error:
        print(f"homerun: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def home_of(arguments: argparse.Namespace) -> Home:
    """--home, else HOMERUN_HOME, else the platform's data folder."""
    import os

    chosen = getattr(arguments, "home", None) or os.environ.get("HOMERUN_HOME")
    if chosen:
        return Home(path=Path(chosen).expanduser().absolute())
    import platformdirs

    return Home(path=Path(platformdirs.user_data_dir("homerun", appauthor=False)))


def overrides_of(arguments: argparse.Namespace) -> dict[str, object]:
    """The settings that the command line names; they win over settings.yaml."""
    names = ("api", "edge", "compute", "strict")
    return {name: value for name in names if (value := getattr(arguments, name, None)) is not None}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="homerun",
        description="App Runner, at home: from source or image to a running, watched web service, in your terminal.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"homerun {__version__}")
    _engine_options(parser)
    parser.set_defaults(run=_screen)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    serve = _command(commands, "serve", _serve, "host the engine without a screen")
    _engine_options(serve)
    serve.add_argument("--stop-instances", action="store_true", help="end the services' instances too when stopping")

    demo = _command(commands, "demo", _demo, "open the screen on a throw-away home with sample applications")
    demo.add_argument("--no-traffic", action="store_true", help="send no requests to the samples")
    demo.add_argument(
        "--compute", choices=_COMPUTES, default="process", help=f"where the samples run (default: process){_AUTO}"
    )

    doctor = _command(commands, "doctor", _doctor, "say what this machine offers, and what to do about what is missing")
    _home_option(doctor)
    doctor.add_argument("--json", action="store_true", help="print JSON")

    stop = _command(commands, "stop", _stop, "end a background engine; services go on running")
    _home_option(stop)
    stop.add_argument("--instances", action="store_true", help="end what it runs, too")

    credentials = _command(
        commands, "credentials", _credentials, "print credentials as the AWS CLI's credential_process expects them"
    )
    _home_option(credentials)
    credentials.add_argument("--rotate", action="store_true", help="make new ones first; the old ones end")

    connection = _command(
        commands, "connection", _connection_list, "connections to GitHub and Bitbucket: list, create, authorize, delete"
    )
    _home_option(connection)
    verbs = connection.add_subparsers(title="what to do", metavar="verb")
    _home_option(_command(verbs, "list", _connection_list, "say which there are, and whether they can be used"))
    create = _command(verbs, "create", _connection_create, "make one, which then waits for its handshake")
    create.add_argument("name", help="4 to 32 letters, digits, - and _")
    create.add_argument(
        "--provider", choices=("github", "bitbucket"), default="github", help="where the repositories are (github)"
    )
    authorize = _command(
        verbs, "authorize", _connection_authorize, "complete a handshake: an access token from stdin, or an SSH key"
    )
    authorize.add_argument("name", help="of the connection; the token is asked for, or read from stdin")
    authorize.add_argument("--ssh-key", metavar="FILE", type=Path, help="a private key, instead of a token")
    delete = _command(verbs, "delete", _connection_delete, "delete one, and what was stored for it")
    delete.add_argument("name", help="of the connection")
    for verb in (create, authorize, delete):
        _home_option(verb)
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Callable[[argparse.Namespace], int],
    help_: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.")
    parser.set_defaults(run=run)
    return parser


def _home_option(parser: argparse.ArgumentParser) -> None:
    # SUPPRESS: given before the command or after it, the one that was given counts.
    parser.add_argument("--home", metavar="DIR", default=argparse.SUPPRESS, help="the data folder")


def _engine_options(parser: argparse.ArgumentParser) -> None:
    _home_option(parser)
    suppress = argparse.SUPPRESS
    parser.add_argument("--api", metavar="HOST:PORT", default=suppress, help="where the App Runner API listens")
    parser.add_argument("--edge", metavar="HOST:PORT", default=suppress, help="where requests to services arrive")
    parser.add_argument("--compute", choices=_COMPUTES, default=suppress, help=f"where instances run{_AUTO}")
    parser.add_argument(
        "--strict", action="store_true", default=suppress, help="refuse in an apprunner.yaml what App Runner refuses"
    )


def _need_terminal() -> None:
    """The screen is drawn on stderr and reads stdin. Raises HomerunError."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise HomerunError("The screen needs a terminal. `homerun serve` hosts the engine without one.")


# Each command lives in a module of its own, imported when it is called.


def _screen(arguments: argparse.Namespace) -> int:
    _need_terminal()
    from tui.commands.screen import run

    return run(home_of(arguments), overrides_of(arguments))


def _serve(arguments: argparse.Namespace) -> int:
    from tui.commands.serve import run

    return run(home_of(arguments), overrides_of(arguments), stop_instances=arguments.stop_instances)


def _demo(arguments: argparse.Namespace) -> int:
    _need_terminal()
    from tui.commands.demo import run

    return run(traffic=not arguments.no_traffic, compute=arguments.compute)


def _doctor(arguments: argparse.Namespace) -> int:
    from tui.commands.doctor import run

    return run(home_of(arguments), as_json=arguments.json)


def _stop(arguments: argparse.Namespace) -> int:
    from tui.commands.stop import run

    return run(home_of(arguments), instances=arguments.instances)


def _credentials(arguments: argparse.Namespace) -> int:
    from tui.commands.credentials import run

    return run(home_of(arguments), new=arguments.rotate)


def _connection_list(arguments: argparse.Namespace) -> int:
    from tui.commands.connection import show

    return show(home_of(arguments))


def _connection_create(arguments: argparse.Namespace) -> int:
    from tui.commands.connection import create

    return create(home_of(arguments), arguments.name, arguments.provider)


def _connection_authorize(arguments: argparse.Namespace) -> int:
    from tui.commands.connection import authorize

    return authorize(home_of(arguments), arguments.name, arguments.ssh_key)


def _connection_delete(arguments: argparse.Namespace) -> int:
    from tui.commands.connection import delete

    return delete(home_of(arguments), arguments.name)


if __name__ == "__main__":
    sys.exit(main())
