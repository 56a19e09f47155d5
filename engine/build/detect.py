"""What a source without a configuration file most likely is, and how to build and start it. Suggestions only."""

import json
import re
import shlex
import tomllib
from collections.abc import Collection, Mapping
from typing import Any

from engine.model.base import Value
from engine.model.service import ApiRuntime

_PYTHON_ENTRIES = (
    "app.py",
    "main.py",
    "server.py",
    "run.py",
    "wsgi.py",
    "application.py",
    "api.py",
    "index.py",
    "web.py",
)
_NODE_ENTRIES = ("server.js", "index.js", "app.js", "main.js", "server.mjs", "index.mjs", "app.mjs", "server.cjs")

DETECT_FILES: tuple[str, ...] = (
    *_PYTHON_ENTRIES,
    *_NODE_ENTRIES,
    "manage.py",
    "streamlit_app.py",
    "requirements.txt",
    "pyproject.toml",
    "Pipfile",
    "package.json",
    "Procfile",
    "Dockerfile",
    ".python-version",
    "runtime.txt",
    ".nvmrc",
    ".node-version",
)
"""Files whose contents `suggest` looks into; names alone serve for the rest."""

_POETRY = "poetry config virtualenvs.create false && poetry install --only main --no-root"
_MAX_FILE = 256 * 1024
_APP_OBJECT = r"^(\w{1,40})(?:\s*:\s*\w{1,40})?\s*=\s*(?:\w{1,40}\.)?"
_PORT_PATTERNS = (
    re.compile(r"\bport\s*=\s*(\d{2,5})\b", re.IGNORECASE),
    re.compile(r"\.listen\(\s*(\d{2,5})\b"),
    re.compile(r"\bport\s*[:=]\s*(\d{2,5})\b", re.IGNORECASE),
)
_READS_PORT = re.compile(r"process\.env\.PORT\b|[\"']PORT[\"']")
_PORT_OPTION = re.compile(r"(?:-p|--port)[ =](\d{2,5})(?!\d)|\bPORT=(\d{2,5})(?!\d)")
_PORT_VARIABLE = re.compile(r"\$PORT\b|\$\{PORT(?::?-[^}\n]{0,20})?\}")
_DEFAULT_PORT = 8080
_PRODUCTION_SCRIPTS = ("start:prod", "start:production", "start:prd")
"""Where there is one of these, "start" is for development."""
_BEFORE_NODE_17 = {"next": 12, "react-scripts": 5, "@vue/cli-service": 5, "webpack": 5}
"""Packages whose releases before this major version fail on the OpenSSL that came with Node.js 17."""


class Suggestion(Value, frozen=True, kw_only=True):
    """What to put into the create form. `build` is one shell line, "" when there is nothing to build."""

    runtime: ApiRuntime
    build: str
    start: str
    port: int = _DEFAULT_PORT
    reason: str
    """What gave it away, in a sentence: "requirements.txt and app.py with Flask"."""


def suggest(names: Collection[str], contents: Mapping[str, bytes]) -> Suggestion | None:
    """The likeliest way to run a source; None when nothing points anywhere.

    `names` are the entries of the source folder, folders with a trailing slash; `contents` of those in DETECT_FILES.
    Start commands name the port and not `$PORT`: App Runner runs them without a shell.
    """
    files = {name: _text(contents.get(name, b"")) for name in names if not name.endswith("/")}
    look = _Look(files)
    python = look.python() if look.has_python() else None
    node = look.node() if "package.json" in files or any(name in files for name in _NODE_ENTRIES) else None
    found = python or node
    if python and node and "package.json" in files and not look.serves_python():
        found = node
    return found or look.other()


class _Look:
    """The files of one source folder."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files
        self.needs = _python_needs(files)

    # Python

    def has_python(self) -> bool:
        markers = ("requirements.txt", "pyproject.toml", "Pipfile", "setup.py", "manage.py", "streamlit_app.py")
        return any(name in self.files for name in markers) or any(name in self.files for name in _PYTHON_ENTRIES)

    def serves_python(self) -> bool:
        """Whether the Python part is an application and not only a tool beside a Node one."""
        return any(name in self.files for name in ("manage.py", "streamlit_app.py", *_PYTHON_ENTRIES))

    def python(self) -> Suggestion | None:
        start, port, why = self._python_start()
        if not start:
            return None
        pinned = (self.files.get(".python-version") or self.files.get("runtime.txt") or "").strip()
        old = re.match(r"(?:python-)?3\.[78](?:\.|\Z)", pinned)
        build, asked = self._python_build()
        return Suggestion(
            runtime=ApiRuntime.PYTHON_3 if old else ApiRuntime.PYTHON_311,
            build=build,
            start=start,
            port=port,
            reason=" and ".join(filter(None, (asked, why))),
        )

    def _python_build(self) -> tuple[str, str]:
        if "requirements.txt" in self.files:
            return "pip3 install -r requirements.txt", "requirements.txt"
        if "Pipfile" in self.files:
            deploy = " --deploy" if "Pipfile.lock" in self.files else ""
            return f"pip3 install pipenv && pipenv install --system{deploy}", "Pipfile"
        if "pyproject.toml" in self.files:
            project = _toml(self.files["pyproject.toml"])
            listed = (
                project.get("project", {}).get("dependencies") if isinstance(project.get("project"), dict) else None
            )
            if isinstance(listed, list) and listed and all(isinstance(item, str) for item in listed):
                return f"pip3 install {shlex.join(item.replace(chr(10), ' ') for item in listed)}", "pyproject.toml"
            if "poetry" in self.files["pyproject.toml"]:
                return f"pip3 install poetry && {_POETRY}", "pyproject.toml"
            return ("pip3 install .", "pyproject.toml") if listed is None else ("", "pyproject.toml")
        return ("pip3 install .", "setup.py") if "setup.py" in self.files else ("", "")

    def _python_start(self) -> tuple[str, int, str]:
        """Start command, port, what gave it away; an empty command when nothing can be started."""
        if web := _procfile_web(self.files.get("Procfile", "")):
            return web, _DEFAULT_PORT, "Procfile"
        if "manage.py" in self.files:
            return self._django(), _DEFAULT_PORT, "manage.py (Django)"
        if "streamlit_app.py" in self.files:
            return self._streamlit("streamlit_app.py"), _DEFAULT_PORT, "streamlit_app.py"
        for name in (*(n for n in _PYTHON_ENTRIES if n in self.files), *self._only_script()):
            found = self._python_entry(name, self.files[name])
            if found:
                return found
        return "", 0, ""

    def _only_script(self) -> tuple[str, ...]:
        scripts = [name for name in self.files if name.endswith(".py") and name not in ("setup.py", "conftest.py")]
        return tuple(scripts) if len(scripts) == 1 and scripts[0] not in _PYTHON_ENTRIES else ()

    def _python_entry(self, name: str, source: str) -> tuple[str, int, str] | None:
        module = name.removesuffix(".py")
        bind = f"--bind 0.0.0.0:{_DEFAULT_PORT}"
        gunicorn = "gunicorn" in self.needs
        if "streamlit" in self.needs and re.search(r"^[ \t]*(?:import|from) streamlit\b", source, re.MULTILINE):
            return self._streamlit(name), _DEFAULT_PORT, f"{name} with Streamlit"
        runs_itself = re.search(r"\buvicorn\.run\(|\.run\(|serve_forever\(|\.launch\(", source) is not None
        if asgi := re.search(_APP_OBJECT + r"(FastAPI|Starlette|Litestar|Quart)\(", source, re.MULTILINE):
            if "uvicorn" not in self.needs and "fastapi" not in self.needs and gunicorn and not runs_itself:
                return f"gunicorn {module}:{asgi.group(1)} {bind}", _DEFAULT_PORT, f"{name} with {asgi.group(2)}"
            return (
                f"uvicorn {module}:{asgi.group(1)} --host 0.0.0.0 --port {_DEFAULT_PORT}",
                _DEFAULT_PORT,
                f"{name} with {asgi.group(2)}",
            )
        if wsgi := re.search(_APP_OBJECT + r"(Flask|Bottle|Dash|get_wsgi_application)\(", source, re.MULTILINE):
            return self._wsgi(name, source, wsgi.group(1), wsgi.group(2))
        return f"python3 {name}", _port_in(source), name

    def _wsgi(self, name: str, source: str, variable: str, kind: str) -> tuple[str, int, str]:
        module = name.removesuffix(".py")
        why = f"{name} with {kind}"
        if "gunicorn" in self.needs:
            target = f"{module}:{variable}" if kind != "Dash" else f"{module}:server"
            return f"gunicorn {target} --bind 0.0.0.0:{_DEFAULT_PORT}", _DEFAULT_PORT, why
        if "waitress" in self.needs and kind == "Flask":
            return f"waitress-serve --port={_DEFAULT_PORT} {module}:{variable}", _DEFAULT_PORT, why
        if kind == "Flask" and not re.search(r"\.run\(", source):
            return f"flask --app {module} run --host 0.0.0.0 --port {_DEFAULT_PORT}", _DEFAULT_PORT, why
        return f"python3 {name}", _port_in(source), why

    def _django(self) -> str:
        settings = re.search(r"DJANGO_SETTINGS_MODULE[\"'],\s*[\"']([\w.]{1,100})[\"']", self.files["manage.py"])
        if settings and "gunicorn" in self.needs:
            return f"gunicorn {settings.group(1).split('.')[0]}.wsgi --bind 0.0.0.0:{_DEFAULT_PORT}"
        return f"python3 manage.py runserver --noreload 0.0.0.0:{_DEFAULT_PORT}"

    def _streamlit(self, name: str) -> str:
        return f"streamlit run {name} --server.address 0.0.0.0 --server.port {_DEFAULT_PORT} --server.headless true"

    # Node.js

    def node(self) -> Suggestion | None:
        package = _json(self.files.get("package.json", ""))
        scripts = package.get("scripts") if isinstance(package.get("scripts"), dict) else {}
        scripts = scripts if isinstance(scripts, dict) else {}
        build, tool = self._node_build(package, scripts)
        start, why = self._node_start(package, scripts, tool)
        if not start:
            return None
        script = scripts.get(start.split()[-1])  # "npm start", "yarn run start:prod"
        entry = next((self.files[name] for name in _NODE_ENTRIES if name in self.files), "")
        return Suggestion(
            runtime=self._node_runtime(package),
            build=build,
            start=start,
            port=_port_given(script) or _port_in(entry),
            reason=why,
        )

    def _node_build(self, package: dict[str, Any], scripts: dict[str, Any]) -> tuple[str, str]:
        if "package.json" not in self.files:
            return "", "npm"
        tool = "npm"
        manager = package.get("packageManager")
        pinned = re.match(r"(?:yarn|pnpm)@(\d{1,3})", manager if isinstance(manager, str) else "")
        if "pnpm-lock.yaml" in self.files:
            release = pinned.group(1) if pinned else "10"
            tool, install = "pnpm", f"npm install -g pnpm@{release} && pnpm install --frozen-lockfile"
        elif "yarn.lock" in self.files and (".yarnrc.yml" in self.files or (pinned and pinned.group(1) != "1")):
            release = pinned.group(1) if pinned else "4"
            tool, install = "yarn", f"npm install -g @yarnpkg/cli-dist@{release} && yarn install --immutable"
        elif "yarn.lock" in self.files:
            tool, install = "yarn", "npm install -g yarn@1 && yarn install --frozen-lockfile"
        elif "package-lock.json" in self.files or "npm-shrinkwrap.json" in self.files:
            install = "npm ci"
        else:
            install = "npm install" if package.get("dependencies") or package.get("devDependencies") else ""
        steps = [install, f"{tool} run build" if "build" in scripts else ""]
        return " && ".join(filter(None, steps)), tool

    def _node_start(self, package: dict[str, Any], scripts: dict[str, Any], tool: str) -> tuple[str, str]:
        if web := _procfile_web(self.files.get("Procfile", "")):
            return web, "Procfile"
        for name in _PRODUCTION_SCRIPTS:
            if name in scripts:
                return f"{tool} run {name}", f"package.json with a {name} script"
        if "start" in scripts:
            return f"{tool} start", "package.json with a start script"
        main = package.get("main")
        for name in (main if isinstance(main, str) else "", *_NODE_ENTRIES):
            if name and name.removeprefix("./") in self.files:
                return f"node {shlex.quote(name.removeprefix('./'))}", name.removeprefix("./")
        if "preview" in scripts:
            return f"npm run preview -- --host 0.0.0.0 --port {_DEFAULT_PORT}", "package.json with a preview script"
        return "", ""

    def _node_runtime(self, package: dict[str, Any]) -> ApiRuntime:
        engines = package.get("engines")
        wanted = engines.get("node") if isinstance(engines, dict) else None
        pinned = self.files.get(".nvmrc") or self.files.get(".node-version") or ""
        text = (wanted if isinstance(wanted, str) else pinned).strip()[:40]
        match = re.fullmatch(r"[v^~=]*\s*(\d{1,2})(?:\.[\dx*.]+)?", text)
        old = {
            "18": ApiRuntime.NODEJS_18,
            "16": ApiRuntime.NODEJS_16,
            "14": ApiRuntime.NODEJS_14,
            "12": ApiRuntime.NODEJS_12,
        }
        if match:
            return old.get(match.group(1), ApiRuntime.NODEJS_22)
        return ApiRuntime.NODEJS_16 if _is_before_node_17(package) else ApiRuntime.NODEJS_22

    # The other languages

    def other(self) -> Suggestion | None:
        rows = (
            ("pom.xml", ApiRuntime.CORRETTO_11, "mvn clean package", "java -jar target/app.jar"),
            ("build.gradle", ApiRuntime.CORRETTO_11, "gradle build", "java -jar build/libs/app.jar"),
            ("go.mod", ApiRuntime.GO_1, "go build -o app .", "./app"),
            ("composer.json", ApiRuntime.PHP_81, "composer install", f"php -S 0.0.0.0:{_DEFAULT_PORT}"),
            ("index.php", ApiRuntime.PHP_81, "", f"php -S 0.0.0.0:{_DEFAULT_PORT}"),
            ("Gemfile", ApiRuntime.RUBY_31, "bundle install", f"bundle exec puma -p {_DEFAULT_PORT}"),
        )
        for name, runtime, build, start in rows:
            if name in self.files:
                return Suggestion(runtime=runtime, build=build, start=start, reason=name)
        project = next((name for name in sorted(self.files) if name.endswith(".csproj")), None)
        if project:
            library = shlex.quote(f"out/{project.removesuffix('.csproj')}.dll")
            return Suggestion(
                runtime=ApiRuntime.DOTNET_6,
                build="dotnet publish -c Release -o out",
                start=f"dotnet {library}",
                reason=project,
            )
        return self._dockerfile() if "Dockerfile" in self.files else None

    def _dockerfile(self) -> Suggestion:
        """The last resort: it says itself how it is built and started, but needs Docker here."""
        exposed = re.search(r"^[ \t]*EXPOSE[ \t]+(\d{1,5})", self.files["Dockerfile"], re.MULTILINE | re.IGNORECASE)
        port = int(exposed.group(1)) if exposed else _DEFAULT_PORT
        port = port if 1 <= port <= 65535 else _DEFAULT_PORT
        return Suggestion(runtime=ApiRuntime.DOCKER, build="", start="", port=port, reason="Dockerfile")


def _text(data: bytes) -> str:
    return data[:_MAX_FILE].decode("utf-8", errors="replace")


def _python_needs(files: Mapping[str, str]) -> frozenset[str]:
    """Names of the packages that the source asks for, lower case."""
    text = files.get("requirements.txt", "") + "\n" + files.get("Pipfile", "")
    names = re.findall(r"^[ \t\"']*([A-Za-z][A-Za-z0-9._-]{0,80})", text, re.MULTILINE)
    names += re.findall(r"[\"'\s]([A-Za-z][A-Za-z0-9._-]{0,80})\s*(?:\[|[<>=~!\"'])", files.get("pyproject.toml", ""))
    return frozenset(name.lower() for name in names)


def _procfile_web(text: str) -> str:
    match = re.search(r"^web:[ \t]*(\S.*)$", text, re.MULTILINE)
    return _PORT_VARIABLE.sub(str(_DEFAULT_PORT), match.group(1).strip()) if match else ""


def _port_in(source: str) -> int:
    """The port that a program listens on by itself; 8080 when it takes it from PORT or says nothing."""
    if _READS_PORT.search(source):
        return _DEFAULT_PORT
    for pattern in _PORT_PATTERNS:
        if match := pattern.search(source):
            port = int(match.group(1))
            return port if 1 <= port <= 65535 else _DEFAULT_PORT
    return _DEFAULT_PORT


def _port_given(script: object) -> int:
    """The port that a start script names, 0 for none: "next start -p 3000"."""
    match = _PORT_OPTION.search(script) if isinstance(script, str) else None
    port = int(match.group(1) or match.group(2)) if match else 0
    return port if port <= 65535 else 0


def _is_before_node_17(package: dict[str, Any]) -> bool:
    sections = [package.get(name) for name in ("dependencies", "devDependencies")]
    needs = {name: version for section in sections if isinstance(section, dict) for name, version in section.items()}
    for name, major in _BEFORE_NODE_17.items():
        asked = needs.get(name)
        release = re.match(r"[v^~=]{0,2}(\d{1,3})(?:\.|\Z)", asked) if isinstance(asked, str) else None
        if release and int(release.group(1)) < major:
            return True
    return False


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def _json(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text.lstrip("\ufeff"))
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
