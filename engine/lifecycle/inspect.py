"""What the create form asks before anything exists: what kind of source is this, and how would it be built?"""

import asyncio
import os
import re
from pathlib import PurePosixPath

from msgspec.structs import replace

from engine.build.config_file import parse_config
from engine.build.detect import DETECT_FILES, suggest
from engine.build.plan import normal_directory, plan_from_file
from engine.compute.base import Compute, ComputeUnavailable
from engine.lifecycle.deployer import CONFIG_NAMES
from engine.lifecycle.failures import compute_away
from engine.model.errors import DeployError, Failure, FailureKind
from engine.model.home import Home
from engine.model.version import Revision
from engine.model.watch import InspectSourceRequest, InspectSourceResponse
from engine.source.base import Source
from engine.source.open import open_source
from engine.source.registry.client import Moved, RegistryError, look_up
from engine.source.registry.credentials import find_credentials
from engine.source.registry.reference import parse_reference


async def inspect_source(request: InspectSourceRequest, home: Home) -> InspectSourceResponse:
    """Never raises for what the user wrote: `problem` says what is wrong, beside all that was found before it."""
    answer = InspectSourceResponse(suggested_name=suggest_name(request.repository_url))
    try:
        source = await asyncio.to_thread(open_source, request.repository_url, home)
        default = await source.default_branch()
        answer = replace(answer, kind=source.kind, default_branch=default)
        answer = replace(answer, branches=await source.branches())
        revision = await source.resolve(request.branch or default)
        answer = replace(answer, revision=revision, notices=revision.notices)
        directory = normal_directory(request.source_directory)
        names = await source.names(revision, directory)
        known = CONFIG_NAMES[:1] if request.strict else CONFIG_NAMES
        # Said before it is read: a faulty file is there all the same.
        answer = replace(
            answer, config_file=next((str(PurePosixPath(directory) / name) for name in known if name in names), "")
        )
        return await _look_inside(source, revision, request, answer)
    except DeployError as error:
        return replace(answer, problem=error.failure)


async def _look_inside(
    source: Source, revision: Revision, request: InspectSourceRequest, answer: InspectSourceResponse
) -> InspectSourceResponse:
    directory = normal_directory(request.source_directory)
    if answer.config_file:
        config = parse_config(
            await source.read(revision, answer.config_file) or b"", answer.config_file, strict=request.strict
        )
        plan = plan_from_file(config, directory, strict=request.strict)
        return replace(
            answer,
            runtime=plan.runtime.name,
            build_commands=(*plan.pre_build, *plan.build),
            start_command=plan.start.text if plan.start else "",
            port=plan.port,
            notices=(*revision.notices, *plan.notices),
        )
    names = await source.names(revision, directory)
    files: dict[str, bytes] = {}
    for name in names:
        if name in DETECT_FILES:
            data = await source.read(revision, str(PurePosixPath(directory) / name))
            if data is not None:
                files[name] = data
    suggestion = suggest(names, files)
    if suggestion is None:
        return answer
    return replace(
        answer,
        suggested_runtime=suggestion.runtime,
        suggested_build=suggestion.build,
        suggested_start=suggestion.start,
        port=suggestion.port,
    )


def suggest_name(url: str) -> str:
    """A valid service name from a repository's: 4 to 40 of [A-Za-z0-9-_], beginning with a letter or digit."""
    last = url.rstrip("/").removesuffix(".git").replace(":", "/").rsplit("/", 1)[-1]
    name = re.sub(r"[^A-Za-z0-9_]+", "-", last).strip("-_")[:40].rstrip("-_")
    return name if len(name) >= 4 else f"{name}-service".lstrip("-")


async def inspect_image(request: InspectSourceRequest, compute: Compute) -> InspectSourceResponse:
    """The same for an image reference: is there such an image, here or in its registry, and where does it listen?"""
    answer = InspectSourceResponse(suggested_name=suggest_name(re.split(r"[@:](?!.*/)", request.repository_url)[0]))
    try:
        reference = parse_reference(request.repository_url)
    except DeployError as error:
        return replace(answer, problem=error.failure)
    answer = replace(answer, kind="image")
    revision = Revision(id="", kind="image", branch=reference.tag, title=reference.familiar)
    try:
        local = await compute.local_image(reference)
    except ComputeUnavailable as error:
        return replace(answer, problem=compute_away(error))
    if local is not None:
        answer = replace(answer, port=local.ports[0] if len(local.ports) == 1 else answer.port)
    try:
        credentials = await asyncio.to_thread(find_credentials, reference, os.environ)
        found = await look_up(reference, credentials)
    except (RegistryError, DeployError) as error:
        if local is not None:
            return replace(answer, revision=replace(revision, id=local.id), notices=(_ONLY_HERE,))
        failure = (
            error.failure if isinstance(error, DeployError) else Failure(kind=FailureKind.IMAGE, message=str(error))
        )
        return replace(answer, problem=failure)
    digest = found.digest if isinstance(found, Moved) else ""
    return replace(answer, revision=replace(revision, id=digest))


_ONLY_HERE = "The image on this machine is used; its registry did not have it, or did not answer."
