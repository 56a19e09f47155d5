"""Images built by a real engine: what reaches them, what never does, what is told, what a second build costs."""

import asyncio
import contextlib
import io
import json
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import docker
import pytest
from msgspec.structs import replace

from engine.compute.base import BuildJob
from engine.compute.docker import context
from engine.compute.docker.api import DockerApi
from engine.compute.docker.build import Supplies, build_image
from engine.model.errors import DeployError, FailureKind
from engine.model.ids import new_id
from engine.model.plan import BuildGeneration, BuildPlan, Runtime, RuntimeFamily, StartCommand
from engine.model.settings import BuildSettings

pytestmark = [pytest.mark.docker, pytest.mark.slow]

NODE = Runtime(name="nodejs22", family=RuntimeFamily.NODEJS, generation=BuildGeneration.REVISED, accepts=("22",))
REVISED = Runtime(name="python311", family=RuntimeFamily.PYTHON, generation=BuildGeneration.REVISED, accepts=("3.11",))
ORIGINAL = replace(REVISED, name="python3", generation=BuildGeneration.ORIGINAL, accepts=("3.8", "3.7"))
DOCKERFILE = Runtime(name="docker", family=RuntimeFamily.DOCKER, generation=BuildGeneration.REVISED, accepts=())
START = StartCommand(text="true", argv=("true",), shell=False)


class Images:
    """Builds images in a real engine and looks into them; removes them all at the end."""

    def __init__(self, api: DockerApi, client: docker.DockerClient, folder: Path) -> None:
        self.api = api
        self.client = client
        self.folder = folder
        self.log: list[str] = []
        self.pulled: list[str] = []
        self.environ = {"PATH": "/usr/bin"}
        self.settings = BuildSettings()
        self.base_images: dict[str, str] = {}
        self.made: list[str] = []

    async def __call__(self, plan: BuildPlan, **files: str) -> str:
        """File names have __ for a dot and _ _ for nothing else: `app__py="…"`. The image's id."""
        return await self.build(plan, {name.replace("__", "."): text for name, text in files.items()})

    async def build(self, plan: BuildPlan, files: dict[str, str]) -> str:
        version_id = new_id()
        source = self.folder / version_id
        source.mkdir()
        for name, text in files.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_text(text)
        job = BuildJob(service_id="5" * 32, version_id=version_id, source=source, target=self.folder / "no", plan=plan)
        self.log.clear()
        tag = f"homerun-tests/build:{version_id}"
        self.made.append(tag)

        async def ensure(name: str) -> None:
            self.pulled.append(name)

        supplies = Supplies(
            base_images=self.base_images,
            settings=self.settings,
            environ=self.environ,
            scratch=self.folder / "scratch",
            ensure_image=ensure,
        )
        return await build_image(
            self.api, job, self.log.append, tag=tag, labels={"homerun.version": version_id}, supplies=supplies
        )

    def run(self, image: str, command: str) -> str:
        output = self.client.containers.run(image, ["/bin/sh", "-c", command], remove=True, stderr=True)
        return output.decode()

    def everything(self, image: str) -> bytes:
        """All that `docker save` gives out, layers unpacked as far as tar goes, and the history."""
        data = b"".join(self.client.images.get(image).save())
        found = [json.dumps(self.client.images.get(image).history()).encode()]
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            found += [file.read() for info in tar if (file := tar.extractfile(info))]
        return b"".join(found)

    def layers(self, image: str) -> set[str]:
        """The names of everything in the image's layers, mount points included."""
        data = b"".join(self.client.images.get(image).save())
        names: set[str] = set()
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for info in tar:
                if info.name.endswith("/layer.tar") or "/blobs/" in f"/{info.name}":
                    with contextlib.suppress(tarfile.ReadError), tarfile.open(fileobj=tar.extractfile(info)) as layer:
                        names.update(layer.getnames())
        return names


@pytest.fixture
def images(docker_api: DockerApi, docker_address: str, tmp_path: Path):
    with contextlib.closing(docker.DockerClient(base_url=docker_address)) as client:
        images = Images(docker_api, client, tmp_path)
        yield images
        for tag in images.made:
            try:
                client.images.remove(tag, force=True)
            except docker.errors.ImageNotFound:
                continue


@pytest.fixture
def plan_of() -> Callable[..., BuildPlan]:
    def plan_of(*build: str, runtime: Runtime = REVISED, **changes: object) -> BuildPlan:
        return BuildPlan(runtime=runtime, source_directory="", build=build, start=START, **changes)  # type: ignore[arg-type]

    return plan_of


async def failed(images: Images, plan: BuildPlan, **files: str):
    with pytest.raises(DeployError) as caught:
        await images(plan, **files)
    return caught.value.failure


async def test_the_source_and_what_commands_make_of_it_are_in_the_image(images, plan_of):
    image = await images(plan_of("echo built > out.txt", "cat app.py"), app__py="print('hello')\n")

    assert images.run(image, "cat out.txt; python3 app.py; pwd") == "built\nhello\n/app\n"
    labels = images.client.images.get(image).labels
    assert labels["homerun.version"]
    assert images.pulled == ["python:3.11"]


async def test_the_log_has_each_command_and_its_output_under_its_phase(images, plan_of):
    plan = plan_of(
        "echo one; echo two >&2", pre_build=("echo before",), post_build=("echo after",), pre_run=("echo run",)
    )
    await images(plan, marker=new_id())  # nothing of it is in a cache
    lines = [line for line in images.log if not line.startswith("[AppRunner]")]

    assert lines == [
        "[PreBuild] $ echo before",
        "[PreBuild] before",
        "[Build] $ echo one; echo two >&2",
        "[Build] one",
        "[Build] two",
        "[PreRun] $ echo run",
        "[PreRun] run",
        "[PostBuild] $ echo after",
        "[PostBuild] after",
    ]


async def test_output_comes_while_a_command_still_runs(images, plan_of):
    plan = plan_of(f"echo early {new_id()}; sleep 3; echo late")
    began = time.monotonic()
    building = asyncio.create_task(images(plan))
    async with asyncio.timeout(30):
        while not any("[Build] early" in line for line in images.log):
            await asyncio.sleep(0.02)
    assert "[Build] late" not in images.log
    await building
    assert time.monotonic() - began > 3


async def test_what_post_build_writes_never_reaches_the_image_and_runs_every_time(images, plan_of):
    plan = plan_of("echo x > kept", post_build=("test -f kept && touch gone /gone && echo notified",))
    image = await images(plan, a="1")
    assert images.run(image, "ls; ls /gone 2>&1 || true").startswith("a\nkept\n")
    assert "No such file" in images.run(image, "ls /gone 2>&1 || true")

    def unnamed() -> set[str]:
        return {each.id for each in images.client.images.list(filters={"dangling": True})}

    before = unnamed()
    await images(plan, a="1")
    assert "[PostBuild] notified" in images.log
    assert unnamed() <= before  # nothing is left of it


@pytest.mark.parametrize(
    ("runtime", "strict", "kept"),
    [(REVISED, False, True), (REVISED, True, False), (ORIGINAL, False, True), (ORIGINAL, True, True)],
)
async def test_what_build_commands_install_outside_the_source(images, plan_of, runtime, strict, kept):
    """App Runner's revised build drops it; helpful keeps it. The original one runs the commands where they count."""
    plan = plan_of("echo out > /outside; echo z > inside; pip --version", runtime=runtime, strict=strict)
    image = await images(plan)

    assert images.run(image, "cat inside") == "z\n"
    assert (images.run(image, "cat /outside 2>&1 || true") == "out\n") is kept


@pytest.mark.parametrize(("strict", "kept"), [(False, True), (True, False)])
async def test_what_pre_build_installs_outside_the_source_with_an_original_runtime(images, plan_of, strict, kept):
    plan = plan_of(
        "cat made > copied", runtime=ORIGINAL, strict=strict, pre_build=("echo 1 > made; echo 2 > /outside",)
    )
    image = await images(plan)

    assert images.run(image, "cat copied") == "1\n"
    assert (images.run(image, "cat /outside 2>&1 || true") == "2\n") is kept
    assert any("App Runner itself drops it" in line for line in images.log) is kept


async def test_pre_run_sees_the_source_and_the_builds_variables_only(images, plan_of):
    plan = plan_of("true", pre_run=('echo "$B$R" > seen',), build_env={"B": "build"}, run_env={"R": "run"}, strict=True)
    image = await images(plan)

    assert images.run(image, "cat seen") == "build\n"
    assert "B=build" not in images.run(image, "env")


async def test_an_unchanged_build_runs_no_command(images, plan_of):
    plan = plan_of(f"sleep 1; echo {new_id()}")
    first = await images(plan, a="1")
    began = time.monotonic()
    second = await images(plan, a="1")

    assert time.monotonic() - began < 1
    assert any("taken from the cache" in line for line in images.log)
    layers = [images.client.images.get(image).attrs["RootFS"]["Layers"] for image in (first, second)]
    assert layers[0] == layers[1]


async def test_an_installing_command_does_not_run_again_when_only_the_source_changes(images, plan_of):
    """Its layer comes before the rest of the source."""
    plan = plan_of("pip install -r requirements.txt", "echo compiled > out")
    requirements = f"pip\n# {new_id()}\n"
    await images(plan, requirements__txt=requirements, app__py="1")
    assert sum("taken from the cache" in line for line in images.log) == 0
    image = await images(plan, requirements__txt=requirements, app__py="2")

    at = images.log.index("[Build] $ pip install -r requirements.txt")
    assert "taken from the cache" in images.log[at + 1]
    assert images.run(image, "cat app.py out requirements.txt").startswith("2compiled\npip\n")
    await images(plan, requirements__txt=requirements + "setuptools\n", app__py="2")
    assert sum("taken from the cache" in line for line in images.log) == 0


async def test_a_failing_command_says_which_how_and_what_it_printed(images, plan_of):
    failure = await failed(images, plan_of("echo fine", "echo trouble >&2; exit 3"), a="1")

    assert failure.kind is FailureKind.BUILD
    assert failure.message == ("Failed to execute 'build' command: `echo trouble >&2; exit 3` ended with exit code 3.")
    assert failure.exit_code == 3
    assert failure.evidence[-1] == "trouble"


async def test_a_program_that_is_not_there_and_amazons_package_manager(images, plan_of):
    failure = await failed(images, plan_of("no-such-program --version"))
    assert failure.hint.startswith("'no-such-program' is not in the image")
    failure = await failed(images, plan_of("yum install -y gcc"))
    assert "belongs to Amazon Linux" in failure.hint
    assert any("choose an Amazon Linux base in settings.yaml" in line for line in images.log)


async def test_a_failing_post_build_fails_the_build(images, plan_of):
    failure = await failed(images, plan_of("true", post_build=("exit 4",)))
    assert failure.message.startswith("Failed to execute 'post_build' command")


async def test_secrets_proxies_and_certificates_are_there_in_the_build_and_nowhere_after(images, plan_of, tmp_path):
    bundle = tmp_path / "ca.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----\nour own authority and nobody else's\n")
    secret, token, proxy = f"s3cret-{new_id()}", f"t0ken-{new_id()}", f"pa55-{new_id()}"
    images.settings = BuildSettings(ca_bundle=str(bundle), secrets=("DEPLOY_KEY",))
    images.environ |= {
        "DEPLOY_KEY": secret,
        "PIP_INDEX_URL": f"https://user:{token}@pypi.example.com/simple",
        "PIP_CERT": "/a/path/of/this/machine",
        "HTTPS_PROXY": f"http://user:{proxy}@proxy.example.com:3128",
        "AWS_SECRET_ACCESS_KEY": "never to be seen",
    }
    check = " && ".join(
        (
            'test "$DEPLOY_KEY" = ' + secret.replace("s3cret", "s3c''ret"),
            'case "$PIP_INDEX_URL" in *t0ken*) true;; *) false;; esac',
            'case "$HTTPS_PROXY" in *pa55*) true;; *) false;; esac',
            'grep -q "our own authority" "$SSL_CERT_FILE"',
            'test "$PIP_CERT" = "$SSL_CERT_FILE"',
            'test -z "$AWS_SECRET_ACCESS_KEY"',
            "env | sort > /dev/null",
        )
    )
    image = await images(plan_of(check, "echo $BUILD_ONLY > out", build_env={"BUILD_ONLY": "b-" + secret[7:20]}))

    everything = images.everything(image)
    for hidden in (token, proxy, "and nobody else's", "never to be seen"):
        assert hidden.encode() not in everything
    assert f"DEPLOY_KEY={secret}".encode() not in everything
    assert images.run(image, "ls -a /dev/homerun 2>&1 || true").strip().endswith("No such file or directory")
    assert "BUILD_ONLY" not in images.run(image, "env")
    assert images.run(image, "cat out").startswith("b-")


async def test_no_trace_of_what_is_mounted_is_in_a_layer(images, plan_of):
    names = images.layers(await images(plan_of(f"echo {new_id()} > out"), a="1"))

    assert {"app/out", "app/a"} <= names
    assert not [name for name in names if "homerun" in name or name.startswith(("dev/", "source"))]


async def test_variables_that_a_shell_cannot_have_break_no_command(images, plan_of):
    images.environ |= {"npm_config_//registry.example.com/:_authToken": "x"}
    image = await images(plan_of("echo $GOOD > out", build_env={"my-var": "x", "GOOD": "1"}))

    assert images.run(image, "cat out") == "1\n"
    assert any("do not see 'my-var'" in line for line in images.log)


async def test_a_secret_without_a_value_and_a_bundle_that_is_not_there(images, plan_of):
    images.settings = BuildSettings(secrets=("NOT_SET",))
    assert "NOT_SET has no value" in (await failed(images, plan_of("true"))).message
    images.settings = BuildSettings(ca_bundle="/no/such/file.pem")
    assert "cannot be read" in (await failed(images, plan_of("true"))).message


async def test_dockerignore_is_honoured(images, plan_of):
    plan = plan_of("ls -a > listing")
    image = await images.build(
        plan,
        {".dockerignore": "*.log\nsecret/\n!keep.log\n", "a.log": "", "keep.log": "", "secret/x": "", "app.py": ""},
    )
    listing = images.run(image, "cat listing")

    assert "app.py" in listing
    assert "keep.log" in listing
    assert "a.log" not in listing.split()
    assert "secret" not in listing


async def test_an_ignored_file_is_not_needed_for_a_layer_of_its_own(images, plan_of):
    """The command itself says that its file is missing, not a Dockerfile that the user never saw."""
    plan = plan_of("pip install -r requirements.txt")
    with pytest.raises(DeployError) as caught:
        await images.build(plan, {".dockerignore": "*.txt\n", "requirements.txt": "pip\n"})
    assert caught.value.failure.message.startswith("Failed to execute 'build' command: `pip install")


async def test_the_last_line_of_a_command_comes_before_the_next_command(images, plan_of):
    await images(plan_of(f"printf no-newline # {new_id()}", "echo next"))
    at = images.log.index("[Build] no-newline")
    assert images.log[at + 1 :] == ["[Build] $ echo next", "[Build] next"]


async def test_commands_arrive_as_they_are_written(images, plan_of):
    """Quotes, variables, what a Dockerfile would take for its own."""
    marker = new_id()
    commands = (
        f"""X='a "b" \\n'; printf '%s' "$X" > one # {marker}""",
        "cat <<EOF > two\nto $HOME\nEOF",
        "echo '<<EOF' \"é 💡\" '${HOME}' > three",
        'echo "exit code: 9" && false || (exit 3)',
    )
    failure = await failed(images, plan_of(*commands))
    assert failure.exit_code == 3
    image = await images(plan_of(*commands[:3]))
    assert images.run(image, "cat one") == 'a "b" \\n'
    assert images.run(image, "cat two three") == "to /root\n<<EOF é 💡 ${HOME}\n"


async def test_a_node_application(images, plan_of):
    package = {"name": "x", "version": "1.0.0", "scripts": {"build": "node build.js"}, "dependencies": {}}
    lock = {"name": "x", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "x", "version": "1.0.0"}}}
    files = {
        "package.json": json.dumps(package | {"description": new_id()}),
        "package-lock.json": json.dumps(lock),
        "build.js": "require('fs').writeFileSync('built.txt', process.env.MODE)",
    }
    plan = plan_of("npm ci", "npm run build", runtime=NODE, build_env={"MODE": "production"})
    image = await images.build(plan, files)
    assert images.run(image, "cat built.txt; node --version") == f"production{images.run(image, 'node --version')}"
    assert images.pulled == ["node:22"]

    await images.build(plan, files | {"build.js": f"{files['build.js']} // {new_id()}"})
    cached = [images.log[at - 1] for at, line in enumerate(images.log) if "taken from the cache" in line]
    assert cached == ["[Build] $ npm ci"]


async def test_an_image_of_the_settings_is_the_base(images, plan_of):
    images.base_images = {"python311": "homerun-tests/tools:1"}
    image = await images(plan_of("yum --version || true; ls /usr/local/bin > out"))

    assert images.run(image, "cat out") == ""
    assert images.pulled == ["homerun-tests/tools:1"]
    assert not any("Amazon" in line for line in images.log)  # who chose it knows it


async def test_modes_links_and_folders_keep_what_they_are(images, plan_of, tmp_path):
    plan = replace(plan_of("./run.sh > out; ls -l link | tail -c 5 >> out; pwd >> out"), source_directory="in ner")
    source = {"in ner/run.sh": "#!/bin/sh\necho ran\n", "in ner/data": "x"}
    made = images.build

    async def with_modes() -> str:
        original = Path.write_text

        def write(self, text, *args, **kwargs):
            result = original(self, text, *args, **kwargs)
            if self.name == "run.sh":
                self.chmod(0o755)
                (self.parent / "link").symlink_to("data")
            return result

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "write_text", write)
            return await made(plan, source)

    image = await with_modes()
    assert images.run(image, "cat out; pwd") == "ran\ndata\n/app/in ner\n/app/in ner\n"


async def test_a_dockerfile_of_the_source(images):
    plan = BuildPlan(
        runtime=DOCKERFILE, source_directory="", dockerfile="Dockerfile", start=None, build_env={"WHO": "you"}, port=80
    )
    text = "FROM python:3.11 AS first\nARG WHO\nWORKDIR /srv\nCOPY . .\nRUN echo hello $WHO > out\n"
    text += "FROM first\nCMD cat out\n"
    image = await images(plan, Dockerfile=text, app__py="1")

    assert images.client.containers.run(image, remove=True) == b"hello you\n"
    assert images.pulled == ["python:3.11"]
    assert any(line.startswith("[Build] [first") and "RUN echo hello" in line for line in images.log)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "There is no Dockerfile in the source directory"),
        ("FRM x\n", "cannot be read, line 1|does not know: FRM"),
        ("FROM python:3.11\nCOPY missing.txt /\n", "copies /missing.txt, which is not in the source"),
        ("FROM python:3.11\nRUN exit 5\n", "ended with exit code 5"),
        ("FROM python:3.11 AS a\nCOPY --from=python:none /x /\n", "The base image python:none could not be had"),
        ("FROM none-such:9\n", "The base image none-such:9 could not be had"),
        ("# syntax=docker/dockerfile:1\nFROM python:3.11\n", "'# syntax=' line"),
        ("FROM --platform=nonsense python:3.11\n", "asks for the platform nonsense"),
        ("FROM ${NONE}\n", "FROM ${NONE} is empty"),
        ("FROM Python:3.11\n", "no valid name of an image: Python:3.11"),
        ("# nothing\n", "has no instructions"),
        ("RUN true\n", "has no FROM with an image"),
        ("FROM python:3.11\nRUN --mount=type=secret,id=x,required=true true\n", "mounts a secret"),
    ],
)
async def test_a_dockerfile_with_a_fault(images, text, said):
    plan = BuildPlan(runtime=DOCKERFILE, source_directory="", dockerfile="Dockerfile", start=None)
    failure = await failed(images, plan, app__py="1", **({"Dockerfile": text} if text else {}))

    assert any(part in failure.message for part in said.split("|")), failure
    assert "\n" not in failure.message


async def test_a_dockerfile_in_a_folder_that_is_left_out(images):
    plan = BuildPlan(runtime=DOCKERFILE, source_directory="", dockerfile="deploy/Dockerfile", start=None)
    text = "FROM python:3.11\nCOPY . /x\nRUN ls -a /x > /listing\n"
    image = await images.build(plan, {"deploy/Dockerfile": text, "a": "", "b": "", ".dockerignore": "deploy\nb\n"})
    assert images.run(image, "cat /listing").split() == [".", "..", ".dockerignore", "a", "deploy"]


async def test_a_source_directory_that_is_not_there(images, plan_of):
    failure = await failed(images, replace(plan_of("true"), source_directory="gone"), a="1")
    assert failure.message == "The source has no folder 'gone'; check SourceDirectory."


async def test_a_cancelled_build_ends_on_the_engine_too(images, plan_of):
    seconds = f"61.{int(new_id()[:6], 16)}"
    building = asyncio.create_task(images(plan_of(f"echo begun; sleep {seconds}")))
    async with asyncio.timeout(30):
        while "[Build] begun" not in images.log:
            await asyncio.sleep(0.02)
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building

    def runs() -> bool:
        wanted = f"sleep\0{seconds}\0"
        return any(wanted in _cmdline(path) for path in Path("/proc").glob("[0-9]*/cmdline"))

    async with asyncio.timeout(15):
        while runs():
            await asyncio.sleep(0.1)
    assert not list((images.folder / "scratch").iterdir())


async def test_a_build_cancelled_while_it_is_packed_leaves_no_open_file(images, plan_of, monkeypatch):
    begun, packed = threading.Event(), []

    def slow(*args):
        begun.set()
        time.sleep(0.2)
        packed.append(context.pack(*args))
        return packed[0]

    monkeypatch.setattr("engine.compute.docker.build.pack", slow)
    building = asyncio.create_task(images(plan_of("true")))
    await asyncio.to_thread(begun.wait, 10)
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    assert packed[0].closed


def _cmdline(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
