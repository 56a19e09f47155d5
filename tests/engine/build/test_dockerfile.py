"""From a plan to a Dockerfile, and what a Dockerfile of a user's own is based on."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.build.base_images import BaseImages
from engine.build.dockerfile import IMAGE, POST_BUILD, Recipe, from_images, recipe_of
from engine.build.install_steps import Install
from engine.model.plan import BuildGeneration, BuildPlan, Phase, Runtime, RuntimeFamily, StartCommand

BASES = BaseImages(build="python:3.11", run="python:3.11-slim")
REVISED = Runtime(name="python311", family=RuntimeFamily.PYTHON, generation=BuildGeneration.REVISED, accepts=("3.11",))
ORIGINAL = replace(REVISED, name="python3", generation=BuildGeneration.ORIGINAL)
START = StartCommand(text="x", argv=("x",), shell=False)
PHASES = {"pre_build": ("p",), "build": ("pip install b", "c"), "post_build": ("t",), "pre_run": ("r",)}


def recipe(runtime: Runtime = REVISED, *, install: Install | None = None, directory: str = "", **plan) -> Recipe:
    plan = BuildPlan(runtime=runtime, source_directory=directory, start=START, **plan)
    return recipe_of(plan, BASES, install or Install())


def outline(found: Recipe) -> list[str]:
    """The Dockerfile without what stands in every line: commands by name, stages by base and name."""
    lines = []
    for line in found.text.splitlines():
        if line.startswith("RUN "):
            number = int(re.search(r"homerun-step-(\d+)", line).group(1))
            step = found.steps[number]
            assert json.loads(line[line.index("[") :])[2].endswith(f"; {step.command}")
            lines.append(f"RUN {step.phase.value} {step.command}")
        elif line and not line.startswith(("WORKDIR", "ENTRYPOINT", "EXPOSE")):
            lines.append(re.sub(r'[\[\]",]', "", line))
    return lines


def test_helpful_is_one_stage_and_everything_stays():
    assert outline(recipe(**PHASES)) == [
        "FROM python:3.11 AS build",
        "COPY source/ /app/",
        "RUN PreBuild p",
        "RUN Build pip install b",
        "RUN Build c",
        f"FROM build AS {IMAGE}",
        "RUN PreRun r",
        f"FROM build AS {POST_BUILD}",
        "ARG HOMERUN_DEPLOYMENT=none",
        "RUN PostBuild t",
    ]


def test_strict_and_revised_puts_the_source_folder_alone_on_the_slimmer_base():
    found = recipe(strict=True, **PHASES)
    assert outline(found) == [
        "FROM python:3.11 AS build",
        "COPY source/ /app/",
        "RUN PreBuild p",
        "RUN Build pip install b",
        "RUN Build c",
        f"FROM python:3.11-slim AS {IMAGE}",
        "COPY --from=build /app/ /app/",
        "RUN PreRun r",
        f"FROM build AS {POST_BUILD}",
        "ARG HOMERUN_DEPLOYMENT=none",
        "RUN PostBuild t",
    ]
    assert found.bases == ("python:3.11", "python:3.11-slim")
    assert found.notices == ("What the build installed outside the source folder stays behind (strict).",)


def test_strict_and_original_builds_where_the_application_runs_without_what_pre_build_did_elsewhere():
    assert outline(recipe(ORIGINAL, strict=True, **PHASES)) == [
        "FROM python:3.11 AS build",
        "COPY source/ /app/",
        "RUN PreBuild p",
        "FROM python:3.11 AS built",
        "COPY --from=build /app/ /app/",
        "RUN Build pip install b",
        "RUN Build c",
        f"FROM built AS {IMAGE}",
        "RUN PreRun r",
        f"FROM built AS {POST_BUILD}",
        "ARG HOMERUN_DEPLOYMENT=none",
        "RUN PostBuild t",
    ]


def test_installing_commands_come_before_the_rest_of_the_source_with_the_files_they_need():
    install = Install(commands=("pip install b",), files=("r.txt", "sub/s.txt"))
    found = recipe(build=("pip install b", "c"), install=install, directory="my app")

    assert outline(found)[1:6] == [
        "COPY source/my app/r.txt /app/my app/r.txt",
        "COPY source/my app/sub/s.txt /app/my app/sub/s.txt",
        "RUN Build pip install b",
        "COPY source/ /app/",
        "RUN Build c",
    ]
    assert "WORKDIR /app/my\\ app" in found.text
    assert "RUN Build pip install b" in outline(recipe(install=install, **PHASES))[3:]  # behind what pre-build does


def test_the_image_has_no_entry_point_and_says_its_port():
    text = recipe(port=3000).text
    image = text[text.index(f"AS {IMAGE}") :]
    assert "\nENTRYPOINT []\nEXPOSE 3000\n" in image
    assert "CMD" not in text
    assert "ENV " not in text


@pytest.mark.parametrize(
    ("runtime", "plan", "said"),
    [
        (REVISED, {"build": ("pip install x",)}, "run.pre-run commands are the place for it there."),
        (REVISED, {"build": ("pip install x",), "pre_run": ("true",)}, ""),
        (REVISED, {"build": ("make",)}, ""),
        (ORIGINAL, {"build": ("pip install x",)}, ""),
        (ORIGINAL, {"pre_build": ("apt-get update",)}, "the build commands are the place for it there."),
    ],
)
def test_what_stays_although_app_runner_drops_it_is_told(runtime, plan, said):
    notices = " ".join(recipe(runtime, **plan).notices)
    assert notices.endswith(said)
    assert bool(notices) is bool(said)


def test_variables_and_values_are_no_part_of_it():
    assert recipe(build=("c",), build_env={"A": "b"}, run_env={"C": "d"}).text == recipe(build=("c",)).text


def test_a_stamp_is_part_of_every_command():
    plan = BuildPlan(runtime=REVISED, source_directory="", start=START, build=("a", "b"))
    lines = [recipe_of(plan, BASES, Install(), stamp).text for stamp in ("", "1", "2")]
    assert len(set(lines)) == 3
    assert lines[1].replace("-0 1;", "-0;").replace("-1 1;", "-1;") == lines[0]


@given(st.text(alphabet=st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1))
def test_any_command_is_one_line_that_says_just_that(command):
    found = recipe(build=(command,))
    line = next(line for line in found.text.split("\n") if line.startswith("RUN "))
    argv = json.loads(line[line.index("[") :])

    assert argv[:2] == ["/bin/sh", "-c"]
    assert argv[2].endswith(f": homerun-step-0; {command}")
    assert "<" not in line  # no builder takes it for a here-document of the Dockerfile
    assert outline(found)[2] == f"RUN Build {command}"
    assert found.steps[0].phase is Phase.BUILD


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("FROM python:3.11\n", ("python:3.11",)),
        ("from --platform=linux/amd64 node:22 as Build\nFROM build\nFROM scratch\n", ("node:22",)),
        ("ARG V=1\nFROM a:$V\nFROM b AS x\nCOPY --from=x / /\n", ("b",)),
        ("FROM \\\n  # why\n  a:1 \\\n  AS x\nFROM x\n", ("a:1",)),
        ("# escape=`\nFROM `\n a:1\nRUN dir C:\\\nFROM b\n", ("a:1", "b")),
        ("FROM a\nRUN cat <<EOF > x && cat <<-'END'\nFROM b\nEOF\nFROM c\n\tEND\nFROM d\n", ("a", "d")),
        ("FROM a\nRUN echo \\\n  FROM b\nRUN echo x \\\nFROM c\n", ("a",)),
        ("\ufeffFROM a\r\nFROM a\r\n", ("a",)),
        ("FROM\nFROM --platform=x\n\n   \nRUN", ()),
        ("", ()),
    ],
)
def test_the_images_that_a_dockerfile_is_based_on(text, images):
    assert from_images(text) == images


@given(
    st.lists(st.sampled_from(["FROM a", "FROM ", "\\", "RUN <<E", "E", "# x", "# escape=`", "`", " AS b", "$", "\t"]))
)
def test_any_text_has_its_images_found(lines):
    assert all(image.split() == [image] and "$" not in image for image in from_images("\n".join(lines)))
