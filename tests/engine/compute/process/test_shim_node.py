"""Port translation in Node.js: what listens on the service's port gets the instance's own, on loopback."""
# ruff: noqa: PLR0917 - fixtures are asked for by name

import os
import shutil
import socket
import subprocess

import pytest

from engine.compute.process.environment import run_environment
from engine.compute.process.shims import ensure_shims

NODE = shutil.which("node")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(NODE is None, reason="no Node.js on this machine")]

REPORT = "s.on('listening', () => { const a = s.address(); console.log(a.address, a.port ?? ''); s.close(); });"


@pytest.fixture
def ports():
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


@pytest.fixture
def node(tmp_path, ports):
    """Run code under the shim, from a folder with a blank and a quote in its name; its output."""
    shim = ensure_shims(tmp_path / 'a "cache"')

    def node(code: str) -> str:
        env = run_environment(
            {"PATH": os.environ["PATH"]},
            {},
            instance_id="i1",
            home=tmp_path,
            shim=shim,
            bin_dirs=[],
            venv=None,
            port=ports[1],
            port_env="",
            service_port=ports[0],
        )
        names = f"const net = require('net'), http = require('http'); const S = {ports[0]}, P = {ports[1]};"
        done = subprocess.run(
            [NODE, "-e", names + code], env=env, capture_output=True, text=True, timeout=20, check=False, cwd=tmp_path
        )
        assert done.stderr == ""
        return done.stdout.strip()

    return node


def test_every_way_to_name_the_port_is_understood(node, ports):
    """Number, text, options; with and without host, backlog and callback."""
    ways = [
        "S",
        "P",
        "String(S)",
        "S, () => {}",
        "S, '0.0.0.0'",
        "S, '::'",
        "S, '0.0.0.0', () => {}",
        "S, '127.0.0.1', 511, () => {}",
        "S, 511",
        "S, 511, () => {}",
        "S, undefined, 511, () => {}",
        "S, undefined, () => {}",
        "{port: S}",
        "{port: String(S), host: '::', ipv6Only: true}, () => {}",
        "{port: S, host: '0.0.0.0', exclusive: true}",
    ]
    code = f"""
const ways = [{", ".join(f"[{way}]" for way in ways)}];
(async () => {{
  for (const way of ways) {{
    let called = !way.some((a) => typeof a === 'function');
    way = way.map((a) => (typeof a === 'function' ? () => {{ called = true; }} : a));
    const s = http.createServer().listen(...way);
    await new Promise((done) => s.on('listening', done));
    await new Promise((done) => setImmediate(done));
    console.log(s.address().address, s.address().port, called);
    await new Promise((done) => s.close(done));
  }}
}})();
""".replace("for (const way of ways)", "for (let way of ways)")

    assert node(code).splitlines() == [f"127.0.0.1 {ports[1]} true"] * len(ways)


def test_other_ports_sockets_and_servers_are_left_alone(node, tmp_path):
    """A wrong port must fail, as it does on App Runner."""
    report = "s.on('listening', () => { const a = s.address(); console.log(a.address ?? a); s.close(); });"
    for way, expected in (
        ("0", "::"),
        (f"'{tmp_path}/s'", f"{tmp_path}/s"),
        ("", "::"),
        (f"{{path: '{tmp_path}/t'}}", f"{tmp_path}/t"),
    ):
        assert node(f"const s = net.createServer().listen({way}); {report}") == expected


def test_ipv6_loopback_stays(node, ports):
    assert node(f"const s = net.createServer().listen(S, '::1'); {REPORT}") == f"::1 {ports[1]}"


def test_listen_returns_the_server(node):
    assert node("const s = http.createServer(); console.log(s.listen(S, () => s.close()) === s);") == "true"


def test_a_port_that_is_taken_is_an_error_of_the_server(node):
    code = """
net.createServer().listen(S, () => {
  net.createServer().on('error', (e) => { console.log(e.code); process.exit(); }).listen(S);
});
"""

    assert node(code) == "EADDRINUSE"


def test_cluster_workers_share_the_instances_port(node, ports, tmp_path):
    (tmp_path / "cluster.js").write_text("""
const cluster = require('cluster');
if (cluster.isPrimary) {
  const worker = cluster.fork();
  worker.on('listening', (a) => { console.log(a.address, a.port); worker.kill(); });
} else {
  require('http').createServer().listen(Number(process.env.HOMERUN_SERVICE_PORT));
}
""")
    # `node -e` forks no code, a file does
    run = "require('child_process').execFileSync(process.execPath, ['cluster.js'], {stdio: 'inherit'});"

    assert node(run) == f"127.0.0.1 {ports[1]}"


def test_a_port_variable_that_a_start_script_sets_anew_changes_nothing(node, ports, tmp_path):
    (tmp_path / "app.js").write_text(f"const s = require('net').createServer().listen(process.env.PORT); {REPORT}")
    run = "require('child_process').execFileSync(process.execPath, ['app.js'], {stdio: 'inherit', env: ENV});"

    assert node(run.replace("ENV", "{...process.env, PORT: S}")) == f"127.0.0.1 {ports[1]}"


async def test_a_node_application_with_its_port_written_down(build, plan_of, run, get, compute, node_runtime):
    """The whole way, through npm."""
    plan = plan_of(runtime=node_runtime, start=("npm", "start"))
    files = {
        "package.json": '{"scripts": {"start": "node server.js"}}',
        "server.js": "require('http').createServer((q, r) => r.end('hello')).listen(8080, '0.0.0.0');",
    }
    artifact = await compute.build(build.job(plan, files), build.log.append)
    instance = await run(artifact, plan)

    assert await get(instance) == "hello"
    assert compute.listening_ports(instance) == (instance.address,)
