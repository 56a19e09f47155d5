"""A builder's messages as lines of the deployment log, and its last word as a failure."""

import base64
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.build.dockerfile import MARK, Step
from engine.compute.docker.build_output import BuildOutput
from engine.compute.docker.buildkit import TRACE
from engine.model.errors import DeployError, FailureKind
from engine.model.plan import Phase
from tests.engine.compute.docker.test_buildkit import field, message

STEPS = (
    Step(phase=Phase.PRE_BUILD, command="before"),
    Step(phase=Phase.BUILD, command="make"),
    Step(phase=Phase.POST_BUILD, command="tell"),
)
CACHED = "[AppRunner] Nothing that it depends on has changed: taken from the cache."


def name(number: int) -> str:
    return f'[build 2/9] RUN ["/bin/sh", "-c", ". env; : {MARK}{number}; echo {MARK}0"]'


def state(number: int, *, done: bool = False, cached: bool = False, error: str = "", called: str = "") -> bytes:
    body = field(1, f"v{number}") + field(3, called or name(number)) + field(4, int(cached)) + field(5, b"")
    return field(1, body + (field(6, b"") if done else b"") + (field(7, error) if error else b""))


def said(number: int, data: str | bytes) -> bytes:
    return field(3, field(1, f"v{number}") + field(4, data))


class Log:
    def __init__(self, *, steps: tuple[Step, ...] = STEPS, after: bool = False) -> None:
        self.lines: list[str] = []
        self.output = BuildOutput(self.lines.append, steps, after=after)

    def trace(self, *parts: bytes) -> "Log":
        self.output.take(message(*parts))
        return self

    def text(self, *parts: str) -> "Log":
        for part in parts:
            self.output.take({"stream": part})
        return self

    def failed(self, text: str):
        with pytest.raises(DeployError) as caught:
            self.output.take({"errorDetail": {"message": text}, "error": text})
        return caught.value.failure


def test_each_command_before_its_output_under_its_phase():
    log = Log().trace(state(0)).trace(said(0, "a\nb\n")).trace(state(0, done=True), state(1)).trace(said(1, "c\n"))
    assert log.lines == ["[PreBuild] $ before", "[PreBuild] a", "[PreBuild] b", "[Build] $ make", "[Build] c"]


def test_a_line_that_comes_in_pieces_is_one():
    log = (
        Log()
        .trace(state(1))
        .trace(said(1, "caf\u00e9".encode()[:4]))
        .trace(said(1, b"\xa9 au lait\r\n10%\r90%\rdone\n"))
    )
    assert log.lines[1:] == ["[Build] caf\u00e9 au lait", "[Build] done"]


def test_the_end_of_a_step_ends_its_last_line():
    """Its last words come in the message that ends it, behind that."""
    log = Log().trace(state(0)).trace(state(0, done=True), said(0, "no newline")).trace(state(1)).trace(said(1, "x"))
    assert log.lines == ["[PreBuild] $ before", "[PreBuild] no newline", "[Build] $ make"]
    log.output.finish()
    assert log.lines[-1] == "[Build] x"


def test_what_a_step_said_comes_before_the_next_when_one_message_tells_both():
    log = Log().trace(state(0)).trace(state(0, done=True), state(1), said(0, "a\nno newline"), said(1, "b\n"))
    assert log.lines[1:] == ["[PreBuild] a", "[PreBuild] no newline", "[Build] $ make", "[Build] b"]
    log = Log().trace(state(0), state(0, done=True), state(1), said(0, "a"), said(1, "b\n"))
    assert log.lines == ["[PreBuild] $ before", "[PreBuild] a", "[Build] $ make", "[Build] b"]


def test_a_line_without_an_end_is_not_kept_forever():
    log = Log().trace(state(1))
    for _ in range(100):
        log.trace(said(1, "x" * 1000))
    assert len(log.lines) > 3


def test_a_step_from_the_cache_is_said_once():
    log = Log().trace(state(1, done=True, cached=True)).trace(state(1, done=True, cached=True))
    assert log.lines == ["[Build] $ make", f"[Build] {CACHED}"]


def test_after_the_image_only_what_post_build_says_is_told():
    log = Log(after=True).trace(state(1, cached=True, done=True)).trace(state(0), said(0, "again\n"))
    log.trace(state(2), said(2, "told\n"))
    assert log.lines == ["[PostBuild] $ tell", "[PostBuild] told"]


def test_steps_of_a_users_dockerfile_have_the_builders_names():
    log = Log(steps=()).trace(state(7, called="[internal] load build context"), state(0, called="[1/2] FROM a"))
    log.trace(state(1, called="[2/2] RUN x", cached=True), said(1, "y\n"))
    assert log.lines == ["[Build] [1/2] FROM a", "[Build] [2/2] RUN x (cached)", "[Build] y"]


def test_the_image_is_known_at_the_end():
    log = Log()
    log.output.take({"id": "moby.image.id", "aux": {"ID": "sha256:1"}})
    assert log.output.image == "sha256:1"


def test_a_trace_that_cannot_be_read_costs_a_line_and_no_build():
    log = Log()
    log.output.take({"id": TRACE, "aux": base64.b64encode(b"\x0a\x05ab").decode()})
    log.output.take({"id": TRACE, "aux": "no base64!"})
    assert log.lines == []


def test_a_failing_command_with_its_own_last_lines_only():
    log = Log().trace(state(0), said(0, "fine\n")).trace(state(0, done=True)).trace(state(1), said(1, "one\ntrouble"))
    error = 'executor failed running [/bin/sh -c echo "exit code: 9"]: exit code: 3'
    failure = log.trace(state(1, done=True, error=error)).failed(error)

    assert failure.message == "Failed to execute 'build' command: `make` ended with exit code 3."
    assert (failure.kind, failure.exit_code, failure.evidence) == (FailureKind.BUILD, 3, ("one", "trouble"))
    assert log.lines[-1] == "[Build] trouble"


def test_the_step_that_failed_counts_and_not_those_that_were_ended_with_it():
    log = Log().trace(state(0), state(1), said(1, "no\n"))
    log.trace(state(0, done=True, error="context canceled")).trace(state(1, done=True, error="x: exit code: 1"))
    assert "`make`" in log.failed("x: exit code: 1").message


def test_a_command_that_was_killed_is_told_of_memory():
    failure = Log().trace(state(1)).trace(state(1, error="x: exit code: 137")).failed("x: exit code: 137")
    assert "memory" in failure.hint


def test_a_run_line_of_a_users_dockerfile_is_named_as_it_stands_there():
    log = Log(steps=()).trace(state(1, called="[a 2/2] RUN npm ci"), said(1, "npm error code E404\n"))
    failure = log.trace(state(1, called="[a 2/2] RUN npm ci", error="exit code: 1")).failed("exit code: 1")
    assert failure.message == "Failed to execute 'build' command: `npm ci` ended with exit code 1."
    assert "registry" in failure.hint


def test_buildahs_text():
    log = Log().text("STEP 1/9: FROM a\n", f"STEP 2/9: RUN : {MARK}0; before\n", "out", "put\n--> 0123456789a\n")
    log.text(
        f"STEP 3/9: RUN : {MARK}1; make\n--> Using cache 0123456789ab\n--> 0123456789ab\n",
        f"STEP 4/9: RUN : {MARK}2; tell\n",
    )
    log.text("last", "--> 0123456789a\n[2/2] COMMIT x\n", "Successfully tagged x\n", f"{'0' * 64}\n")
    log.text("Successfully built 0123456789ab\n")
    assert log.output.built == "0123456789ab"
    assert log.lines == [
        "[PreBuild] $ before",
        "[PreBuild] output",
        "[Build] $ make",
        f"[Build] {CACHED}",
        "[PostBuild] $ tell",
        "[PostBuild] last",
    ]


def test_buildahs_failure():
    log = Log().text(f"STEP 3/9: RUN : {MARK}1; make\n", "trouble\n")
    failure = log.failed(f'building at STEP "RUN : {MARK}1; make": while running runtime: exit status 5')
    assert failure.message == "Failed to execute 'build' command: `make` ended with exit code 5."
    assert failure.evidence == ("trouble",)


def test_buildahs_steps_of_a_users_dockerfile():
    log = Log(steps=()).text("STEP 1/2: FROM a\n", "STEP 2/2: RUN x\n--> Using cache 0123456789ab\n")
    assert log.lines == ["[Build] STEP 1/2: FROM a", "[Build] STEP 2/2: RUN x", f"[Build] {CACHED}"]


def test_buildahs_failure_in_a_users_dockerfile():
    failure = Log(steps=()).text("STEP 2/3: RUN exit 4\n").failed('STEP "RUN exit 4": exit status 4')
    assert failure.message == "Failed to execute 'build' command: `exit 4` ended with exit code 4."


def test_buildahs_text_after_the_image():
    log = Log(after=True).text(
        f"STEP 3/9: RUN : {MARK}1; make\n--> Using cache 1\n", f"STEP 4/9: RUN : {MARK}2; x\nhi\n"
    )
    assert log.lines == ["[PostBuild] $ tell", "[PostBuild] hi"]


@given(st.text(alphabet="ab\n"), st.lists(st.integers(0, 30)))
def test_however_output_is_torn_the_lines_are_the_same(text, cuts):
    log = Log().trace(state(1))
    edges = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    for start, end in pairwise(edges):
        log.trace(said(1, text[start:end]))
    log.output.finish()
    assert log.lines[1:] == [f"[Build] {line}" for line in text.removesuffix("\n").split("\n") if text]
