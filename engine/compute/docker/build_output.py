"""What a builder says, BuildKit or Buildah, turned into lines of the deployment log and a failure's reasons."""

import re
from collections import defaultdict, deque
from typing import Any

from engine.build.dockerfile import MARK, Step
from engine.compute.base import Emit
from engine.compute.docker import buildkit
from engine.compute.docker.build_failures import builder_failure, exit_code
from engine.compute.failures import build_failure
from engine.model.errors import DeployError
from engine.model.plan import Phase

_ANNOUNCED = re.compile(r"(?:\[\d+/\d+\] )?STEP \d+")
_OF_BUILDAH = re.compile(r"(?:\[\d+/\d+\] )?COMMIT\b|Successfully (?:tagged|built) |[0-9a-f]{64}\Z")
_LAYER = re.compile(r"--> [0-9a-f]{7,64}\Z")
"""What it says at the end of a step, right behind a last line without an end."""
_BUILT = re.compile(r"Successfully built ([0-9a-f]{12,64})\Z")
_OWN_RUN = re.compile(r"\A(?:\[[^\]]*\] )?(?:STEP \d+(?:/\d+)?: )?(?:RUN )?")
_CACHED = "[AppRunner] Nothing that it depends on has changed: taken from the cache."
_TAIL = 20
_LINE_MOST = 16 * 1024
"""Bytes without an end of line that are a line all the same."""
_STEP = re.compile(rf"{MARK}(\d+)")


class BuildOutput:
    """One request to the builder: its messages in turn, then `finish`.

    `after` the image, only post-build commands are worth a word: the others are those of the image again.
    """

    def __init__(self, emit: Emit, steps: tuple[Step, ...], *, after: bool) -> None:
        self._emit = emit
        self._steps = steps
        self._after = after
        self._vertices: dict[str, buildkit.Vertex] = {}
        self._said: set[str] = set()
        self._rest: dict[str, bytes] = {}
        self._tails: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_TAIL))
        """The last lines of each step."""
        self._failed: buildkit.Vertex | None = None
        self._current = ""
        """The step of a builder that only streams text."""
        self._text_rest = ""
        self.image = ""
        """Its id."""
        self.built = ""
        """What Buildah calls it, a part of its id."""

    def take(self, message: dict[str, Any]) -> None:
        """Raises DeployError when the builder has given up."""
        if message.get("id") == buildkit.IMAGE_ID:
            self.image = str((message.get("aux") or {}).get("ID", ""))
        elif isinstance(message.get("stream"), str):
            self._text(message["stream"])
        elif error := message.get("error") or (message.get("errorDetail") or {}).get("message"):
            self._flush()
            raise self._failure(str(error))
        else:
            self._trace(message)

    def _trace(self, message: dict[str, Any]) -> None:
        try:
            events = list(buildkit.events(message))
        except ValueError:
            return  # a line of the log less is no reason to give up a build
        # A message has its vertices before its output. What belongs to a step under way came before what begins now.
        news: dict[str, list[buildkit.Vertex | buildkit.Output]] = {}
        for event in events:
            if isinstance(event, buildkit.Output):
                news.setdefault(event.vertex_id, []).append(event)
            elif event.started or event.cached:
                news.setdefault(event.id, []).append(event)
            else:
                self._vertex(event)
        for vertex_id in sorted(news, key=lambda each: each not in self._said):
            for event in news[vertex_id]:
                if isinstance(event, buildkit.Output):
                    self._output(vertex_id, event.data)
                else:
                    self._vertex(event)
            # The last words of a step come with its end, and behind it.
            if vertex_id in self._rest and vertex_id in self._vertices and self._vertices[vertex_id].completed:
                self._line(vertex_id, self._rest.pop(vertex_id))

    def finish(self) -> None:
        self._flush()

    def _vertex(self, vertex: buildkit.Vertex) -> None:
        self._vertices[vertex.id] = vertex
        if vertex.error and self._failed is None and "context canceled" not in vertex.error:
            self._failed = vertex
        if vertex.id in self._said or not (vertex.started or vertex.cached):
            return
        step = self._step(vertex.name)
        if step is not None:
            self._said.add(vertex.id)
            self._begun(step, cached=vertex.cached)
        elif not self._steps and not vertex.name.startswith("[internal]") and vertex.name.startswith("["):
            self._said.add(vertex.id)
            self._emit(f"[{Phase.BUILD}] {vertex.name}{' (cached)' if vertex.cached else ''}")

    def _begun(self, step: Step, *, cached: bool) -> None:
        self._say(step, f"$ {step.command}")
        if cached:
            self._say(step, _CACHED)

    def _say(self, step: Step | None, text: str) -> None:
        phase = step.phase if step else Phase.BUILD
        if not self._after or phase is Phase.POST_BUILD:
            self._emit(f"[{phase}] {text}")

    def _output(self, vertex_id: str, data: bytes) -> None:
        *lines, rest = (self._rest.pop(vertex_id, b"") + data).split(b"\n")
        for line in lines:
            self._line(vertex_id, line)
        if len(rest) > _LINE_MOST:
            self._line(vertex_id, rest)
        elif rest:
            self._rest[vertex_id] = rest

    def _line(self, vertex_id: str, line: bytes) -> None:
        vertex = self._vertices.get(vertex_id)
        step = self._step(vertex.name) if vertex else None
        text = line.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2]
        self._tails[vertex_id].append(text)
        self._say(step, text)

    def _text(self, text: str) -> None:
        """Buildah's output: lines that announce a step, and what its command prints."""
        *lines, self._text_rest = (self._text_rest + text).split("\n")
        for line in lines:
            self._text_line(line.rstrip("\r").rpartition("\r")[2])

    def _text_line(self, line: str) -> None:
        step = self._step(self._current)
        line = _LAYER.sub("", line)
        if built := _BUILT.match(line):
            self.built = built.group(1)
        if _ANNOUNCED.match(line):
            self._current = line
            if step := self._step(line):
                self._begun(step, cached=False)
            elif not self._steps:
                self._say(None, line)
        elif line.startswith("--> Using cache"):
            if step or not self._steps:
                self._say(step, _CACHED)
        elif line and not _OF_BUILDAH.match(line):
            self._tails[self._current].append(line)
            self._say(step, line)

    def _step(self, name: str) -> Step | None:
        match = _STEP.search(name)
        number = int(match.group(1)) if match else -1
        return self._steps[number] if 0 <= number < len(self._steps) else None

    def _flush(self) -> None:
        for vertex_id, rest in list(self._rest.items()):
            self._line(vertex_id, rest)
        self._rest.clear()
        if self._text_rest:
            self._text_line(self._text_rest)
            self._text_rest = ""

    def _failure(self, message: str) -> DeployError:
        said = self._failed.error if self._failed else message
        code = exit_code(said) if exit_code(said) is not None else exit_code(message)
        step = self._step(self._failed.name if self._failed else message) or self._step(self._current)
        tail = tuple(self._tails[self._failed.id if self._failed else self._current])
        if step is not None and code is not None:
            return build_failure(step.phase, step.command, code, tail, in_image=True)
        if code is not None:
            name = self._failed.name if self._failed else self._current
            return build_failure(Phase.BUILD, _OWN_RUN.sub("", name), code, tail, in_image=True)
        return builder_failure(message)
