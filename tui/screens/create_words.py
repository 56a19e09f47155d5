"""The create form in words: what was found at a source, and what is about to be created. Pure."""

import re
from collections.abc import Mapping

from engine.model.base import Value
from engine.model.service import ConfigurationSource, HealthCheckProtocol
from engine.model.watch import InspectSourceResponse
from tui.presenters.services import revision_image
from tui.screens.create_form import RUNTIMES, Deployments, Form, Step, parse_environment, source_directory


def cpu_text(cpu: str) -> str:
    """CPU units as people say them: "1024" is "1 vCPU"."""
    return f"{int(cpu) / 1024:g} vCPU"


def memory_text(memory: str) -> str:
    """Megabytes as people say them: "512" is "0.5 GB"."""
    return f"{int(memory) / 1024:g} GB"


def step_title(step: Step, form: Form) -> str:
    """What a step is called: an image is not built."""
    return "Start" if step is Step.BUILD and form.is_image else step.value.title()


def build_question(form: Form) -> str:
    """What the step after the source asks."""
    return "How is it started, and where does it listen?" if form.is_image else "How is it built and started?"


def default_start(form: Form) -> str:
    """What starts it where no command is given; "" where one is needed."""
    return "as the image says" if form.is_image else "as the Dockerfile says" if form.by_dockerfile else ""


def deployments_note(form: Form) -> str:
    """What the choice between deployments comes to."""
    if "@" in form.image:
        return "An image named by its digest never changes: there is nothing to watch."
    if form.deployments is Deployments.ON_PUSH:
        return "Whenever the tag points to another image, that one is deployed."
    return ""


_CREDENTIALS = re.compile(r"(?<=://)[^@/]*:[^@/]*@")

Rows = Mapping[str, tuple[tuple[str, str], ...]]
"""Section to (label, value) rows."""


def review_of(form: Form, url: str, found: InspectSourceResponse | None) -> Rows:
    """Everything that is going to be created, in words. Values are as untrusted as what they come from."""
    return {
        "Source": _reviewed_image(form, found) if form.is_image else _reviewed_repository(form, url, found),
        step_title(Step.BUILD, form): _reviewed_start(form) if form.is_image else _reviewed_build(form, found),
        "Service": (
            ("Name", form.name.strip()),
            ("Instances", f"{cpu_text(form.cpu)}, {memory_text(form.memory)} each"),
            ("Environment", _reviewed_environment(form)),
            ("Health check", _reviewed_check(form)),
        ),
    }


def _reviewed_image(form: Form, found: InspectSourceResponse | None) -> tuple[tuple[str, str], ...]:
    digest = found.revision.short if found and found.revision and "@" not in form.image else ""
    by_itself = form.deployments is Deployments.ON_PUSH
    return (
        ("Image", " · ".join(filter(None, (form.image.strip(), digest)))),
        ("Deployments", "by itself when its tag moves" if by_itself else "by hand, with d"),
    )


def _reviewed_start(form: Form) -> tuple[tuple[str, str], ...]:
    return (("Command", form.start_command.strip() or default_start(form)), ("Port", form.port.strip()))


def _reviewed_repository(form: Form, url: str, found: InspectSourceResponse | None) -> tuple[tuple[str, str], ...]:
    revision = found.revision if found else None
    commit = f"{revision.short} {revision.title}".strip() if revision and revision.kind == "commit" else ""
    source = [("Repository", _CREDENTIALS.sub("***@", url))]
    if form.branch.strip() or commit:
        source.append(("Branch", " · ".join(filter(None, (form.branch.strip(), commit)))))
    if source_directory(form.directory) != "/":
        source.append(("Directory", source_directory(form.directory)))
    source.append(("Deployments", "by hand, with d"))
    return tuple(source)


def _reviewed_build(form: Form, found: InspectSourceResponse | None) -> tuple[tuple[str, str], ...]:
    if form.configuration is ConfigurationSource.REPOSITORY:
        rows = [("Configured by", (found and found.config_file) or "apprunner.yaml")]
        if found and found.runtime:
            rows += [
                ("Runtime", found.runtime),
                ("Build", " && ".join(found.build_commands) or "nothing to build"),
                ("Start", found.start_command),
                ("Port", str(found.port)),
            ]
        return tuple(rows)
    if form.by_dockerfile:
        return (
            ("Runtime", RUNTIMES[form.runtime]),
            ("Start", form.start_command.strip() or default_start(form)),
            ("Port", form.port.strip()),
        )
    return (
        ("Runtime", RUNTIMES[form.runtime]),
        ("Build", form.build_command.strip() or "nothing to build"),
        ("Start", form.start_command.strip()),
        ("Port", form.port.strip()),
    )


def _reviewed_environment(form: Form) -> str:
    if form.by_file:
        return "as the file sets it"
    variables, _ = parse_environment(form.environment)
    return ", ".join(variables) or "none"


def _reviewed_check(form: Form) -> str:
    what = f"HTTP {form.path}" if form.protocol is HealthCheckProtocol.HTTP else "TCP"
    return (
        f"{what} every {form.interval} s, timeout {form.timeout} s;"
        f" healthy after {form.healthy}, unhealthy after {form.unhealthy}"
    )


class Finding(Value, frozen=True):
    """One line about a source; `mood` is "good", "note", "bad", "evidence", "hint" or "more" of the hint.

    Untrusted text.
    """

    mood: str
    text: str


_MOST_EVIDENCE = 6


def findings_of(found: InspectSourceResponse) -> tuple[Finding, ...]:
    """What an inspection says, line by line."""
    lines: list[Finding] = []
    if found.revision is not None:
        lines.append(Finding("good", _found_source(found)))
    if found.problem is not None:
        lines.append(Finding("bad", found.problem.message))
        lines += [Finding("evidence", line) for line in found.problem.evidence[-_MOST_EVIDENCE:]]
        if found.problem.hint:
            first, *rest = found.problem.hint.splitlines()
            lines += [Finding("hint", first), *(Finding("more", line) for line in rest)]
    elif found.config_file:
        lines.append(Finding("good", f"{found.config_file}: {found.runtime}, port {found.port}"))
    elif found.suggested_runtime is not None:
        runtime = RUNTIMES[found.suggested_runtime]
        lines.append(
            Finding("note", f"No apprunner.yaml. It looks like {runtime}; the next step suggests the commands.")
        )
    elif found.kind and found.kind != "image":
        lines.append(Finding("note", "No apprunner.yaml. The next step asks how to build and start it."))
    lines += [Finding("note", notice) for notice in found.notices]
    return tuple(lines)


def _found_source(found: InspectSourceResponse) -> str:
    revision = found.revision
    if revision is not None and revision.kind == "image":
        return f"Image {revision_image(revision)}, {revision.short}".rstrip(", ")
    if revision is None or revision.kind != "commit":
        return "A folder without Git: every deployment takes it as it is then."
    return " ".join(filter(None, ("Git,", revision.branch, revision.short, revision.title)))
