"""Process compute's own time: what a deployment costs besides the user's build commands and the application itself.

Run it: `python tests/benchmarks/bench_process_compute.py`. Uses pip once, to make the environment of the Flask hello.
Goals: build overhead under 350 ms, start under 100 ms, a redeployment of unchanged requirements under 2 s in all, a
sample of 100 instances under 50 ms.
"""

import asyncio
import statistics
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from engine.compute.base import BuildJob, InstanceSpec
from engine.compute.process import ProcessCompute
from engine.model.clock import SystemClock
from engine.model.home import Home
from engine.model.ids import new_id
from engine.model.instance import Instance, InstanceState
from engine.model.plan import BuildGeneration, BuildPlan, Runtime, RuntimeFamily, StartCommand
from engine.model.version import Artifact

SERVICE_ID = "5" * 32
ROUNDS = 7
APP = """
from flask import Flask
app = Flask(__name__)
app.add_url_rule("/", view_func=lambda: "hello")
app.run(host="0.0.0.0", port=8080)
"""
LINE = f"{sys.version_info[0]}.{sys.version_info[1]}"
RUNTIME = Runtime(
    name=f"python{LINE.replace('.', '')}",
    family=RuntimeFamily.PYTHON,
    generation=BuildGeneration.REVISED,
    accepts=(LINE,),
)


def plan_of(*build: str, start: tuple[str, ...] = ("python", "app.py")) -> BuildPlan:
    command = StartCommand(text=" ".join(start), argv=start, shell=False)
    return BuildPlan(runtime=RUNTIME, source_directory="", build=build, start=command)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = Home(path=folder / "home")
        self.compute = ProcessCompute(self.home, SystemClock())
        self.instances: list[Instance] = []

    async def build(self, plan: BuildPlan, previous: Artifact | None = None) -> tuple[Artifact, float]:
        version_id = new_id()
        source = self.folder / version_id
        source.mkdir()
        (source / "app.py").write_text(APP, encoding="utf-8")
        (source / "requirements.txt").write_text("flask\n", encoding="utf-8")
        job = BuildJob(
            service_id=SERVICE_ID,
            version_id=version_id,
            source=source,
            target=self.home.artifact(SERVICE_ID, version_id),
            plan=plan,
            previous=previous,
        )
        begun = time.perf_counter()
        artifact = await self.compute.build(job, lambda _: None)
        return artifact, time.perf_counter() - begun

    async def start(self, artifact: Artifact, plan: BuildPlan) -> tuple[Instance, float]:
        spec = InstanceSpec(
            instance_id=new_id(),
            service_id=SERVICE_ID,
            service_name="hello",
            version_id=Path(artifact.path).name,
            artifact=artifact,
            plan=plan,
            env={},
            cpu_units=1024,
            memory_mb=2048,
        )
        begun = time.perf_counter()
        started = await self.compute.start(spec)
        took = time.perf_counter() - begun
        instance = Instance(
            id=spec.instance_id,
            service_id=SERVICE_ID,
            version_id=spec.version_id,
            compute="process",
            state=InstanceState.STARTING,
            handle=started.handle,
            address=started.address,
            created_at=time.time(),
        )
        self.instances.append(instance)
        return instance, took

    async def answer(self, instance: Instance) -> None:
        assert instance.address
        url = f"http://127.0.0.1:{instance.address.port}/"
        while True:
            try:
                await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=1).read())
            except OSError:
                await asyncio.sleep(0.01)
            else:
                return

    async def stop(self) -> float:
        begun = time.perf_counter()
        await asyncio.gather(*(self.compute.stop(instance, 5) for instance in self.instances))
        took = time.perf_counter() - begun
        self.instances.clear()
        return took


def show(name: str, seconds: list[float], goal_s: float | None = None) -> None:
    goal = f"   goal {goal_s * 1000:.0f} ms" if goal_s else ""
    print(f"{name:58} {statistics.median(seconds) * 1000:8.1f} ms   best {min(seconds) * 1000:8.1f} ms{goal}")


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        empty, flask = plan_of(), plan_of("pip install -q -r requirements.txt")
        _, cold = await bench.build(empty)
        show("first build ever, no commands (finds pythons, makes template)", [cold], 0.35)
        show("build, no commands", [(await bench.build(empty))[1] for _ in range(ROUNDS)], 0.35)
        previous, first = await bench.build(flask)
        show("build, pip install flask", [first])
        again, starts, totals = [], [], []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            artifact, took = await bench.build(flask, previous)
            again.append(took)
            instance, took = await bench.start(artifact, flask)
            starts.append(took)
            await bench.answer(instance)
            totals.append(time.perf_counter() - begun)
            await bench.stop()
        show("build again, requirements unchanged (pip runs)", again)
        show("start", starts, 0.1)
        show("redeployment in all: build, start, first answer", totals, 2.0)

        sleeping = plan_of(start=("sleep", "60"))
        hundred = await asyncio.gather(*(bench.start(previous, sleeping) for _ in range(100)))
        show("start, 100 at once, each", [took for _, took in hundred])
        samples = []
        for _ in range(20):
            begun = time.perf_counter()
            found = await asyncio.to_thread(bench.compute.sample, bench.instances, time.time())
            samples.append(time.perf_counter() - begun)
            assert len(found) == 100
        show("sample of 100 instances", samples, 0.05)
        show("stop, 100 at once", [await bench.stop()])


if __name__ == "__main__":
    asyncio.run(main())
