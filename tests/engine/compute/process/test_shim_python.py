"""Port translation in Python: what binds to the service's port gets the instance's own, on loopback."""
# ruff: noqa: PLR0917 - fixtures are asked for by name

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from engine.compute.process.shims import ensure_shims

pytestmark = pytest.mark.slow  # real processes, sockets or repositories

NAMES = (
    "import asyncio, os, socket, sys\nS, P = int(os.environ['HOMERUN_SERVICE_PORT']), int(os.environ['HOMERUN_PORT'])\n"
)


@pytest.fixture
def ports():
    """Two ports nobody listens on: the service's and the instance's."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


@pytest.fixture
def python(tmp_path, ports):
    """Run code under the shim; its output."""
    shim = ensure_shims(tmp_path / "cache")

    def python(code: str, *, executable: str = sys.executable, **env: str) -> str:
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(shim),
            "HOMERUN_SERVICE_PORT": str(ports[0]),
            "HOMERUN_PORT": str(ports[1]),
            **env,
        }
        done = subprocess.run(
            [executable, "-c", NAMES + code], env=environ, capture_output=True, text=True, timeout=20, check=False
        )
        assert done.stderr == ""
        return done.stdout.strip()

    return python


def bound(family: str, host: str, port: str) -> str:
    return f"s = socket.socket(socket.{family}); s.bind(({host!r}, {port})); print(s.getsockname()[:2])"


@pytest.mark.parametrize("asked", ["S", "P"])
@pytest.mark.parametrize(
    ("family", "host", "expected"),
    [
        ("AF_INET", "0.0.0.0", "127.0.0.1"),
        ("AF_INET", "", "127.0.0.1"),
        ("AF_INET", "127.0.0.1", "127.0.0.1"),
        ("AF_INET6", "::1", "::1"),
        ("AF_INET6", "::", "::ffff:127.0.0.1"),
    ],
)
def test_the_services_port_and_the_own_one_become_the_own_one_on_loopback(python, ports, family, host, asked, expected):
    assert python(bound(family, host, asked)) == str((expected, ports[1]))


def test_a_socket_for_ipv6_only_stays_one(python, ports):
    code = "s = socket.socket(socket.AF_INET6); s.setsockopt(41, socket.IPV6_V6ONLY, 1); s.bind(('::', S, 0, 0));"

    assert python(code + "print(s.getsockname()[:2])") == str(("::1", ports[1]))


def test_other_ports_are_left_alone(python):
    """A wrong port must fail, as it does on App Runner."""
    code = "s = socket.socket(); s.bind(('0.0.0.0', 0)); print(s.getsockname()[0])"

    assert python(code) == "0.0.0.0"


def test_other_kinds_of_socket_are_left_alone(python, tmp_path):
    """Unix sockets and datagrams."""
    assert python(f"s = socket.socket(socket.AF_UNIX); s.bind({str(tmp_path / 's')!r}); print('bound')") == "bound"
    code = "s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('127.0.0.1', S)); print(s.getsockname()[1] == S)"
    assert python(code) == "True"


@pytest.mark.parametrize("host", ["'0.0.0.0'", "'::'", "None", "''", "['0.0.0.0', '::']", "'127.0.0.1'"])
def test_asyncio_servers_listen_on_loopback_over_ipv4(python, ports, host):
    code = f"""
async def main():
    server = await asyncio.get_event_loop().create_server(asyncio.Protocol, {host}, S)
    print([s.getsockname()[:2] for s in server.sockets])
    server.close()
asyncio.run(main())
"""
    assert python(code) == str([("127.0.0.1", ports[1])])


def test_the_port_may_be_text(python, ports):
    """Settings often are."""
    code = """
async def main():
    server = await asyncio.start_server(print, "0.0.0.0", str(S))
    print(server.sockets[0].getsockname())
    server.close()
asyncio.run(main())
"""
    assert python(code) == str(("127.0.0.1", ports[1]))


def test_children_inherit_it(python, ports):
    code = "import subprocess; subprocess.run([sys.executable, '-c', {!r}])"
    inner = NAMES + bound("AF_INET", "0.0.0.0", "S")

    assert python(code.format(inner)) == str(("127.0.0.1", ports[1]))


def test_a_socket_module_that_was_imported_before_is_patched_too(python, ports, tmp_path):
    """Some .pth files import half the standard library before any sitecustomize."""
    shim = ensure_shims(tmp_path / "cache") / "sitecustomize.py"
    code = f"import runpy; runpy.run_path({str(shim)!r}); " + bound("AF_INET", "0.0.0.0", "S")

    assert python(code, PYTHONPATH="") == str(("127.0.0.1", ports[1]))


def test_the_sitecustomize_that_it_hides_is_run(python, tmp_path):
    """Distributions and agents have one."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other/sitecustomize.py").write_text("import builtins; builtins.from_the_other = __name__\n")
    code = "print(from_the_other, sys.modules['sitecustomize'].__file__)"
    path = f"{ensure_shims(tmp_path / 'cache')}:{tmp_path}/other"

    assert python(code, PYTHONPATH=path) == f"sitecustomize {tmp_path}/other/sitecustomize.py"


def test_it_is_not_in_the_way(python):
    """Not on sys.path, nothing imported, no loader of its own left behind, nothing said."""
    assert python("print([p for p in sys.path if 'shim' in p])") == "[]"
    assert python("print(type(socket.__spec__.loader).__name__, asyncio.base_events.__loader__)").startswith(
        "SourceFileLoader <_frozen_importlib_external.SourceFileLoader"
    )


def test_without_the_variables_nothing_changes(python):
    code = "s = socket.socket(); s.bind(('0.0.0.0', 0)); print(s.getsockname()[0])"

    assert python(code.replace("S", "0"), HOMERUN_SERVICE_PORT="0", HOMERUN_PORT="0") == "0.0.0.0"


def test_a_port_variable_that_a_start_script_sets_anew_changes_nothing(python, ports):
    code = "s = socket.socket(); s.bind(('0.0.0.0', int(os.environ['PORT']))); print(s.getsockname())"

    assert python(code, PORT=str(ports[0])) == str(("127.0.0.1", ports[1]))


def test_what_pip_installed_for_the_user_is_found(python, tmp_path):
    """PYTHONUSERBASE counts in a virtual environment, too."""
    folder = tmp_path / f"base/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    folder.mkdir(parents=True)
    (folder / "theirs.py").write_text("print('found')")

    assert python("import theirs", PYTHONUSERBASE=str(tmp_path / "base")) == "found"


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.6", "3.7", "3.8", "3.9", "3.10", "3.12", "3.13", "3.14"])
def test_every_python_that_is_here(python, ports, version, compute):
    """From 3.6 on, sockets and asyncio."""
    found = [i.executable for i in compute.found_interpreters() if i.version.startswith(version + ".")]
    if not found:
        pytest.skip(f"no Python {version} on this machine")
    code = """
async def main():
    server = await asyncio.start_server(print, None, S)
    print(*server.sockets[0].getsockname())
    server.close()
asyncio.get_event_loop_policy().new_event_loop().run_until_complete(main())
"""
    assert python(bound("AF_INET", "", "S"), executable=found[0]) == str(("127.0.0.1", ports[1]))
    if version != "3.14":
        assert python(code, executable=found[0]) == f"127.0.0.1 {ports[1]}"


UVICORN = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    import asyncio
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": type(asyncio.get_running_loop()).__module__.encode()})
"""
WSGI = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"wsgi"]
"""
GEVENT = """
from gevent.pywsgi import WSGIServer
WSGIServer(("0.0.0.0", 8080), lambda env, start: start("200 OK", []) and b"" or [b"gevent"], log=None).serve_forever()
"""
FLASK = """
from flask import Flask
app = Flask(__name__)
app.add_url_rule("/", view_func=lambda: "flask")
"""


@pytest.mark.slow
async def test_real_servers_with_the_services_port_written_down(with_pip, build, plan_of, run, get, compute):
    """Uvicorn on asyncio, uvloop and IPv6, gunicorn, waitress, hypercorn, gevent, http.server, with port 8080 given."""
    base = plan_of("pip install -q uvicorn uvloop gunicorn waitress hypercorn gevent packaging flask")
    files = {"asgi.py": UVICORN, "wsgi.py": WSGI, "server.py": GEVENT, "hello.py": FLASK}
    artifact = await compute.build(build.job(base, files), build.log.append)
    cases = {
        "uvicorn asgi:app --host 0.0.0.0 --port 8080 --loop uvloop": "uvloop",
        "uvicorn asgi:app --host :: --port 8080 --loop asyncio": "asyncio.unix_events",
        "uvicorn asgi:app --host 0.0.0.0 --port 8080 --workers 2": "uvloop",
        "gunicorn -b 0.0.0.0:8080 -w 2 wsgi:app": "wsgi",
        "gunicorn -b [::]:8080 wsgi:app": "wsgi",
        "gunicorn -k gevent -b :8080 wsgi:app": "wsgi",
        "waitress-serve --listen=*:8080 wsgi:app": "wsgi",
        "hypercorn --bind 0.0.0.0:8080 asgi:app": "asyncio.unix_events",
        "python server.py": "gevent",
        "python -m http.server 8080": "asgi.py",
        "flask --app hello run -h 0.0.0.0 -p 8080": "flask",
    }
    for start, expected in cases.items():
        plan = plan_of(start=tuple(start.split()))
        instance = await run(artifact, plan)
        try:
            assert expected in await get(instance), start
        except TimeoutError:
            pytest.fail(f"{start}: {compute.output(instance.id).read_text()}")
        found = compute.listening_ports(instance)
        assert {address.port for address in found} == {instance.address.port}, start
        assert {address.host for address in found} <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}, start
        await compute.stop(instance, 5)


def test_the_copy_is_made_once_and_does_not_follow_the_source(tmp_path):
    """Instances outlive an upgrade of Homerun."""
    folder = ensure_shims(tmp_path)

    assert ensure_shims(tmp_path) == folder
    assert {path.name for path in folder.iterdir()} == {"sitecustomize.py", "homerun_shim.cjs"}
    assert isinstance(folder, Path)
