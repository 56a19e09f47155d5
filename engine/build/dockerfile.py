"""From a plan to a Dockerfile: App Runner's two build procedures, and what of each reaches the running image. Pure.

Variables of the build, secrets and certificates come in through a bind mount of a folder of the build context, and only
while a command runs: nothing of them is in a layer, in the image's configuration or in its history.
"""

import json
import posixpath
import re
from collections.abc import Iterable, Iterator

from engine.build.base_images import BaseImages
from engine.build.install_steps import Install
from engine.model.base import Value
from engine.model.plan import BuildGeneration, BuildPlan, Phase, RuntimeFamily

SOURCE = "source"
"""The folder of the build context with the source in it."""
PRIVATE = "homerun"
"""The folder of the build context that is mounted while a command runs; holds `env`, and perhaps `ca.pem`."""
MOUNT = "/dev/homerun"
"""Where. Under /dev, which is no part of an image, a mount leaves no trace in it."""
IMAGE, POST_BUILD = "image", "post-build"
DEPLOYMENT = "HOMERUN_DEPLOYMENT"
"""A build argument that makes post-build commands run with every deployment."""
MARK = "homerun-step-"


class Step(Value, frozen=True, kw_only=True):
    """One command of the build. Its number stands in the Dockerfile, so that its output can be told."""

    phase: Phase
    command: str


class Recipe(Value, frozen=True, kw_only=True):
    """What a managed runtime's image is built from."""

    text: str
    """The Dockerfile."""
    steps: tuple[Step, ...]
    bases: tuple[str, ...]
    """Images that have to be here."""
    notices: tuple[str, ...] = ()

    @property
    def has_post_build(self) -> bool:
        return any(step.phase is Phase.POST_BUILD for step in self.steps)


_CACHES = {
    RuntimeFamily.PYTHON: "--mount=type=cache,id=homerun-pip,target=/root/.cache/pip ",
    RuntimeFamily.NODEJS: "--mount=type=cache,id=homerun-npm,target=/root/.npm ",
}
"""What package managers download is kept between builds, and out of the image."""


_ESCAPE = re.compile(r"(?:#[^\n]*\n)*?#[ \t]*escape[ \t]*=[ \t]*([`\\])", re.IGNORECASE)
_HERE = re.compile(r"\d*<<(-?)(['\"]?)([A-Za-z_]\w*)\2")


class _Writer:
    def __init__(self, plan: BuildPlan, stamp: str) -> None:
        self.plan = plan
        self.stamp = f" {stamp}" if stamp else ""
        self.folder = posixpath.join("/app", plan.source_directory) if plan.source_directory else "/app"
        self.lines: list[str] = []
        self.steps: list[Step] = []

    def stage(self, base: str, name: str) -> None:
        self.lines += ["", f"FROM {base} AS {name}", f"WORKDIR {json_path(self.folder)}"]

    def copy(self, source: str, target: str, *, stage: str = "") -> None:
        origin = f"--from={stage} " if stage else ""
        self.lines.append(f"COPY {origin}{json.dumps([source, target])}")

    def run(self, phase: Phase, commands: Iterable[str]) -> None:
        mounts = f"--mount=type=bind,source={PRIVATE},target={MOUNT} {_CACHES.get(self.plan.runtime.family, '')}"
        for command in commands:
            # One stream, so that what is printed stays in its order.
            argv = ["/bin/sh", "-c", f"exec 2>&1; . {MOUNT}/env; : {MARK}{len(self.steps)}{self.stamp}; {command}"]
            # Newer builders look for here-documents of their own in the line.
            text = json.dumps(argv).replace("<", "\\u003c")
            self.lines.append(f"RUN {mounts}{text}")
            self.steps.append(Step(phase=phase, command=command))


def recipe_of(plan: BuildPlan, bases: BaseImages, install: Install, stamp: str = "") -> Recipe:
    """`install` are leading build commands that run before the rest of the source is copied; none with pre-build.

    A changed `stamp` has every command run again, for builders that do not look at what is mounted.
    """
    writer = _Writer(plan, stamp)
    revised = plan.runtime.generation is BuildGeneration.REVISED
    needed = [bases.build]
    notices: list[str] = []
    writer.stage(bases.build, "build")
    if install.commands and not plan.pre_build:
        for file in install.files:
            path = posixpath.join(plan.source_directory, file)
            writer.copy(f"{SOURCE}/{path}", f"/app/{path}")
        writer.run(Phase.BUILD, install.commands)
        rest = plan.build[len(install.commands) :]
    else:
        rest = plan.build
    writer.copy(f"{SOURCE}/", "/app/")
    writer.run(Phase.PRE_BUILD, plan.pre_build)
    if plan.strict and not revised and plan.pre_build:
        # Of what pre-build did only /app goes on; the build commands run where the application will.
        writer.stage(bases.build, "built")
        writer.copy("/app/", "/app/", stage="build")
        writer.run(Phase.BUILD, rest)
        writer.stage("built", IMAGE)
    elif plan.strict and revised:
        writer.run(Phase.BUILD, rest)
        writer.stage(bases.run, IMAGE)
        writer.copy("/app/", "/app/", stage="build")
        needed.append(bases.run)
        if plan.build:
            notices.append("What the build installed outside the source folder stays behind (strict).")
    else:
        writer.run(Phase.BUILD, rest)
        writer.stage("build", IMAGE)
        notices += _kept(plan, revised=revised)
    writer.run(Phase.PRE_RUN, plan.pre_run)
    writer.lines += ["ENTRYPOINT []", f"EXPOSE {plan.port}"]
    if plan.post_build:
        again = plan.strict and not revised and bool(plan.pre_build)
        writer.stage("built" if again else "build", POST_BUILD)
        writer.lines.append(f"ARG {DEPLOYMENT}=none")
        writer.run(Phase.POST_BUILD, plan.post_build)
    return Recipe(
        text="\n".join(writer.lines).lstrip() + "\n",
        steps=tuple(writer.steps),
        bases=tuple(dict.fromkeys(needed)),
        notices=tuple(notices),
    )


def _kept(plan: BuildPlan, *, revised: bool) -> list[str]:
    if revised and not plan.pre_run and any(" install" in command for command in plan.build):
        said = "What the build installed outside the source folder stays available. App Runner itself drops it for"
        return [f"{said} {plan.runtime.name}; run.pre-run commands are the place for it there."]
    if not revised and plan.pre_build:
        said = "What pre-build commands do outside the source folder stays available. App Runner itself drops it for"
        return [f"{said} {plan.runtime.name}; the build commands are the place for it there."]
    return []


def json_path(path: str) -> str:
    """A path as WORKDIR takes it: with what it would expand, escaped."""
    return path.replace("\\", "\\\\").replace("$", "\\$").replace('"', '\\"').replace(" ", "\\ ")


def from_images(text: str) -> tuple[str, ...]:
    """The images that a user's Dockerfile begins stages from, as far as it says them without variables."""
    found: dict[str, None] = {}
    stages = {"scratch"}
    for words in map(str.split, _instructions(text)):
        if words[0].upper() != "FROM":
            continue
        base, *named = [word for word in words[1:] if not word.startswith("--")] or ("$",)
        if base.lower() not in stages and "$" not in base:
            found[base] = None
        if len(named) > 1 and named[0].upper() == "AS":
            stages.add(named[1].lower())
    return tuple(found)


def _instructions(text: str) -> Iterator[str]:
    """Whole instructions: continued lines joined, without comments and the lines of here-documents."""
    escape = re.escape(found.group(1)) if (found := _ESCAPE.match(text)) else r"\\"
    lines = iter(text.removeprefix("\ufeff").splitlines())
    whole = ""
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        whole += re.sub(rf"{escape}\s*$", " ", line)
        if re.search(rf"{escape}\s*$", line):
            continue
        if whole.strip():
            yield whole
        if whole.split()[:1] and whole.split()[0].upper() in ("RUN", "COPY", "ADD"):
            for dash, _, end in _HERE.findall(whole):
                for inner in lines:
                    if (inner.lstrip("\t") if dash else inner) == end:
                        break
        whole = ""
    if whole.strip():
        yield whole
