"""Suggestions for sources without a configuration file."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.build.detect import DETECT_FILES, suggest
from engine.build.plan import plan_from_values
from engine.model.service import ApiRuntime, CodeConfigurationValues

PIP = "pip3 install -r requirements.txt"
PY, NODE = ApiRuntime.PYTHON_311, ApiRuntime.NODEJS_22


def package(**members: object) -> str:
    return json.dumps(members)


CASES = {
    "fastapi": (
        {"main.py": "from fastapi import FastAPI\napp = FastAPI()\n", "requirements.txt": "fastapi\nuvicorn\n"},
        (PY, PIP, "uvicorn main:app --host 0.0.0.0 --port 8080", 8080),
    ),
    "flask with gunicorn": (
        {"app.py": "app = Flask(__name__)\napp.run()\n", "requirements.txt": "Flask==3.0\ngunicorn\n"},
        (PY, PIP, "gunicorn app:app --bind 0.0.0.0:8080", 8080),
    ),
    "flask that runs itself": (
        {"server.py": "app = Flask(__name__)\napp.run(port=5000)\n", "requirements.txt": "Flask\n"},
        (PY, PIP, "python3 server.py", 5000),
    ),
    "the guide's application": (
        {"server.py": "PORT = 8080\napp = Flask(__name__)\napp.run(port=PORT)\n", "requirements.txt": "Flask==1.0.2\n"},
        (PY, PIP, "python3 server.py", 8080),
    ),
    "flask that does not": (
        {"app.py": "web: Flask = flask.Flask(__name__)\n", "requirements.txt": "Flask\n"},
        (PY, PIP, "flask --app app run --host 0.0.0.0 --port 8080", 8080),
    ),
    "django": (
        {
            "manage.py": "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site1.settings')",
            "requirements.txt": "Django\n",
        },
        (PY, PIP, "python3 manage.py runserver --noreload 0.0.0.0:8080", 8080),
    ),
    "django with gunicorn": (
        {
            "manage.py": "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site1.settings')",
            "requirements.txt": "gunicorn>=20\n",
        },
        (PY, PIP, "gunicorn site1.wsgi --bind 0.0.0.0:8080", 8080),
    ),
    "streamlit": (
        {"app.py": "import streamlit as st\n", "requirements.txt": "streamlit\n"},
        (PY, PIP, "streamlit run app.py --server.address 0.0.0.0 --server.port 8080 --server.headless true", 8080),
    ),
    "a script": ({"main.py": "import os\nport = int(os.environ['PORT'])\n"}, (PY, "", "python3 main.py", 8080)),
    "the only script": ({"hello.py": "print(1)", "requirements.txt": "x"}, (PY, PIP, "python3 hello.py", 8080)),
    "a Procfile": (
        {"Procfile": "worker: x\nweb: gunicorn x:y\n", "requirements.txt": "x"},
        (PY, PIP, "gunicorn x:y", 8080),
    ),
    "pyproject": (
        {"app.py": "", "pyproject.toml": '[project]\nname = "x"\ndependencies = ["flask>=3", "gunicorn"]\n'},
        (PY, "pip3 install 'flask>=3' gunicorn", "python3 app.py", 8080),
    ),
    "pipenv": (
        {"app.py": "", "Pipfile": "", "Pipfile.lock": ""},
        (PY, "pip3 install pipenv && pipenv install --system --deploy", "python3 app.py", 8080),
    ),
    "an old python": ({"app.py": "", ".python-version": "3.8.10\n"}, (ApiRuntime.PYTHON_3, "", "python3 app.py", 8080)),
    "npm with a lock and a build": (
        {
            "package.json": package(scripts={"start": "x", "build": "y"}, dependencies={"a": "1"}),
            "package-lock.json": "",
        },
        (NODE, "npm ci && npm run build", "npm start", 8080),
    ),
    "npm without a lock": (
        {"package.json": package(main="./index.js", dependencies={"a": "1"}), "index.js": "app.listen(3000)"},
        (NODE, "npm install", "node index.js", 3000),
    ),
    "node that takes PORT": (
        {"package.json": package(), "server.js": "let port = 3000\nif (process.env.PORT) port = process.env.PORT\n"},
        (NODE, "", "node server.js", 8080),
    ),
    "a bare script of node": ({"index.js": ""}, (NODE, "", "node index.js", 8080)),
    "yarn": (
        {"package.json": package(scripts={"start": "x"}), "yarn.lock": ""},
        (NODE, "npm install -g yarn@1 && yarn install --frozen-lockfile", "yarn start", 8080),
    ),
    "yarn of today": (
        {"package.json": package(scripts={"start": "x"}), "yarn.lock": "", ".yarnrc.yml": ""},
        (NODE, "npm install -g @yarnpkg/cli-dist@4 && yarn install --immutable", "yarn start", 8080),
    ),
    "yarn as pinned": (
        {"package.json": package(scripts={"start": "x"}, packageManager="yarn@3.6.1"), "yarn.lock": ""},
        (NODE, "npm install -g @yarnpkg/cli-dist@3 && yarn install --immutable", "yarn start", 8080),
    ),
    "pnpm as pinned": (
        {"package.json": package(scripts={"start": "x"}, packageManager="pnpm@8.1.0+sha"), "pnpm-lock.yaml": ""},
        (NODE, "npm install -g pnpm@8 && pnpm install --frozen-lockfile", "pnpm start", 8080),
    ),
    "a start script for production": (
        {"package.json": package(scripts={"start": "watch -p 3000", "start:prod": "node main -p 4000"})},
        (NODE, "", "npm run start:prod", 4000),
    ),
    "a start script that names its port": (
        {"package.json": package(scripts={"start": "next start -p 3000"})},
        (NODE, "", "npm start", 3000),
    ),
    "a start script that sets its port": (
        {"package.json": package(scripts={"start": "PORT=5000 node server.js"}), "server.js": ".listen(4000)"},
        (NODE, "", "npm start", 5000),
    ),
    "a bundler of before node 17": (
        {"package.json": package(scripts={"start": "x"}, dependencies={"next": "^10.0.0"})},
        (ApiRuntime.NODEJS_16, "npm install", "npm start", 8080),
    ),
    "a bundler of after node 17": (
        {"package.json": package(scripts={"start": "x"}, devDependencies={"webpack": "5", "next": "latest"})},
        (NODE, "npm install", "npm start", 8080),
    ),
    "a procfile with a default port": (
        {"Procfile": "web: gunicorn app:app -b 0.0.0.0:${PORT:-5000}", "requirements.txt": ""},
        (PY, PIP, "gunicorn app:app -b 0.0.0.0:8080", 8080),
    ),
    "pnpm": (
        {"package.json": package(scripts={"start": "x", "build": "y"}), "pnpm-lock.yaml": ""},
        (NODE, "npm install -g pnpm@10 && pnpm install --frozen-lockfile && pnpm run build", "pnpm start", 8080),
    ),
    "an older node": (
        {"package.json": package(scripts={"start": "x"}, engines={"node": "18.x"})},
        (ApiRuntime.NODEJS_18, "", "npm start", 8080),
    ),
    "a newer node": (
        {"package.json": package(scripts={"start": "x"}, engines={"node": ">=18"})},
        (NODE, "", "npm start", 8080),
    ),
    "django with a front end": (
        {"manage.py": "", "requirements.txt": "django", "package.json": package(scripts={"start": "x"})},
        (PY, PIP, "python3 manage.py runserver --noreload 0.0.0.0:8080", 8080),
    ),
    "node with a python tool": (
        {"package.json": package(scripts={"start": "x"}), "requirements.txt": "black", "tool.py": ""},
        (NODE, "", "npm start", 8080),
    ),
    "go": ({"go.mod": ""}, (ApiRuntime.GO_1, "go build -o app .", "./app", 8080)),
    "dotnet": (
        {"My App.csproj": ""},
        (ApiRuntime.DOTNET_6, "dotnet publish -c Release -o out", "dotnet 'out/My App.dll'", 8080),
    ),
}


def suggestion_of(files: dict[str, str]):
    return suggest([*files, "folder/"], {name: text.encode() for name, text in files.items()})


@pytest.mark.parametrize("name", CASES)
def test_a_source_says_how_it_is_run(name):
    files, expected = CASES[name]
    found = suggestion_of(files)
    assert (found.runtime, found.build, found.start, found.port) == expected
    assert found.reason


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("strict", [False, True])
def test_a_suggestion_is_a_plan(name, strict):
    """What the form fills in is accepted as it is, and starts without a shell, as App Runner does it."""
    found = suggestion_of(CASES[name][0])
    members = {"build_command": found.build} if found.build else {}
    plan = plan_from_values(
        CodeConfigurationValues(runtime=found.runtime, start_command=found.start, port=str(found.port), **members),
        "/",
        strict,
    )
    assert not plan.start.shell
    assert not any("shell" in notice for notice in plan.notices)


@pytest.mark.parametrize("names", [[], ["README.md"], ["docs/"], ["setup.py"], ["a.py", "b.py"]])
def test_nothing_is_suggested_for_what_points_nowhere(names):
    assert suggest(names, {}) is None


def test_broken_files_are_no_obstacle():
    assert suggestion_of({"package.json": "{", "index.js": ""}).start == "node index.js"
    assert suggestion_of({"pyproject.toml": "[", "app.py": ""}).start == "python3 app.py"
    assert (
        suggestion_of({"package.json": '{"scripts": [], "engines": 3, "main": 4}', "index.js": ""}).start
        == "node index.js"
    )


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(DETECT_FILES), st.binary(max_size=200), max_size=5))
def test_any_contents_are_survived(contents):
    found = suggest([*contents], contents)
    assert found is None or 1 <= found.port <= 65535
    assert found is None or found.start or found.runtime is ApiRuntime.DOCKER


def test_a_dockerfile_is_the_last_resort():
    found = suggestion_of({"Dockerfile": "FROM x\n  expose 3000/tcp\n"})
    assert (found.runtime, found.build, found.start, found.port) == (ApiRuntime.DOCKER, "", "", 3000)
    assert suggestion_of({"Dockerfile": "FROM x\n"}).port == 8080
    assert suggestion_of({"Dockerfile": "FROM x\n", "go.mod": ""}).runtime is ApiRuntime.GO_1


@pytest.mark.parametrize(
    "piece", ["\n", " ", "a\n", "x = ", "[", "port ", "web: a ", "a" * 100 + " ", "'", "DJANGO_SETTINGS_MODULE'"]
)
def test_long_contents_are_read_quickly(piece):
    text = (piece * 300_000)[:300_000].encode()
    started = time.process_time()
    suggest(DETECT_FILES, dict.fromkeys(DETECT_FILES, text))
    assert time.process_time() - started < 2
