"""Which commands may run before the rest of the source is there, and above all which may not."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.build.install_around import Surroundings
from engine.build.install_steps import Install, install_steps

PACKAGE = {"dependencies": {"express": "^4.19.2", "@scope/x": "npm:left-pad@1"}, "scripts": {"build": "vite build"}}
LOCK = {
    "lockfileVersion": 3,
    "packages": {
        "": {"dependencies": PACKAGE["dependencies"]},
        "node_modules/express": {"version": "4.19.2", "resolved": "https://registry.npmjs.org/express.tgz"},
        "node_modules/x/node_modules/esbuild": {"resolved": "https://r/e.tgz", "hasInstallScript": True},
    },
}
NODE = {"package.json": json.dumps(PACKAGE), "package-lock.json": json.dumps(LOCK)}
GEMFILE = 'source "https://rubygems.org"\nruby "3.1.2"\ngem "puma", "~> 6.0" # the server\n'
GEMFILE += 'group :development, :test do\n  gem "rspec", require: false\nend\n'
RUBY = {"Gemfile": GEMFILE, "Gemfile.lock": "GEM\n  remote: https://rubygems.org/\n"}
GO = {"go.mod": "module x\n\ngo 1.18\n\nrequire a.b/c v1.0.0\nreplace a.b/c => d.e/f v1.0.1\n", "go.sum": ""}
REQUIREMENTS = (
    "\ufeffflask==3.0 ; python_version >= '3.8'\nrequests[security,socks]>=2,<3  # why\n"
    "--extra-index-url https://x.example/simple\n-r requirements/more.txt\nx @ https://e.example/x.whl\n"
    "git+https://g.example/y.git@v1#egg=y\nz==1 \\\n    --hash=sha256:abc \\\n    --hash=sha256:def\n\n"
)
PYTHON = {
    "requirements.txt": REQUIREMENTS,
    "requirements/more.txt": "-c ../constraints.txt\n",
    "constraints.txt": "a<2",
}


def moved(*commands: str, files: dict[str, str], names: tuple[str, ...] = (), **around: object) -> Install:
    there = frozenset({path.split("/")[0] for path in files} | {"app.py", "src", *names})
    surroundings = Surroundings(files=files, names=there, **around)  # type: ignore[arg-type]
    return install_steps(tuple(commands), surroundings)


@pytest.mark.parametrize(
    ("command", "files", "needed"),
    [
        ("pip install -r requirements.txt", PYTHON, "constraints.txt requirements.txt requirements/more.txt"),
        ("pip3 install -r ./requirements.txt", PYTHON, "constraints.txt requirements.txt requirements/more.txt"),
        ("python3.11 -m pip install -U --no-cache-dir -c constraints.txt flask", PYTHON, "constraints.txt"),
        ("pip install --upgrade pip", {}, ""),
        ("pip install 'flask>=3' \"gunicorn[gevent]\" httpx~=0.27", {}, ""),
        ("pip install -i https://pypi.example/simple flask", {}, ""),
        ("pip install --upgrade pip && pip install -rconstraints.txt", PYTHON, "constraints.txt"),
        ("npm ci", NODE, "package-lock.json package.json"),
        ("npm install", NODE, "package-lock.json package.json"),
        ("npm ci --omit=dev --no-audit", NODE, "package-lock.json package.json"),
        ("npm install -g pnpm@10", {}, ""),
        ("npm install -g yarn@1 && npm ci", NODE, "package-lock.json package.json"),
        ("npm install --ignore-scripts", {"package.json": NODE["package.json"]}, "package.json"),
        (
            "yarn install --frozen-lockfile --ignore-scripts",
            {"package.json": NODE["package.json"], "yarn.lock": ""},
            "package.json yarn.lock",
        ),
        (
            "pnpm install --ignore-scripts",
            {"package.json": NODE["package.json"], "pnpm-lock.yaml": "", ".npmrc": "registry=https://r.example/\n"},
            ".npmrc package.json pnpm-lock.yaml",
        ),
        ("bundle install --jobs 4", RUBY, "Gemfile Gemfile.lock"),
        ("gem install bundler -v 2.4.1", {}, ""),
        ("go mod download", GO, "go.mod go.sum"),
    ],
)
def test_a_command_that_only_installs_runs_first_with_the_files_it_needs(command, files, needed):
    assert moved(command, "make", files=files) == Install(commands=(command,), files=tuple(needed.split()))


@pytest.mark.parametrize(
    "command",
    [
        "pip install .",
        "pip install -e .",
        "pip install ./lib",
        "pip install lib/sub",
        "pip install x-1.0-py3-none-any.whl",
        "pip install x.tar.gz",
        "pip install file:lib",
        "pip install --find-links wheels flask",
        "pip install --no-index flask",
        "pip install -t lib flask",
        "pip install --target=lib flask",
        "pip install -r missing.txt",
        "pip install -r ../requirements.txt",
        "pip install -r requirements.txt || true",
        "pip install flask; make",
        "pip install flask | tail",
        "pip install flask > log",
        "pip install flask>=3",
        "pip install 'flask' >log",
        "pip install 'flask'&",
        "pip install $PACKAGES",
        'pip install "$PACKAGES"',
        "pip install `cat x`",
        "pip install ~/x",
        "pip install flas[k]",
        "pip install flask &&",
        "cd src && pip install flask",
        "PIP_TARGET=x pip install flask",
        "pip download flask",
        "pip install",
        "npm ci --prefix=src",
        "npm install --workspace=a",
        "npm install express",
        "npm install -g prisma",
        "npm install -g ./tool",
        "npm run build",
        "npm ci && npm run build",
        "yarn install --cwd=src",
        "yarn build",
        "yarn install",
        "pnpm install",
        "bundle install --path vendor/bundle",
        "bundle exec rake",
        "gem install x.gem",
        "go mod download all",
        "go build",
        "make",
        "",
    ],
)
def test_a_command_that_may_need_more_stays_where_it_is(command):
    names = ("flask", "yarn.lock", "pnpm-lock.yaml")
    assert moved(command, files={**PYTHON, **NODE, **RUBY, **GO}, names=names) == Install()


@pytest.mark.parametrize(
    "line",
    [
        "-e .",
        ".",
        "./lib",
        "lib/sub",
        "/opt/x",
        "x @ file:///opt/x",
        "x @ ./lib",
        "file:lib",
        "x-1.0-py3-none-any.whl",
        "x.zip",
        "--find-links wheels",
        "--no-index",
        "--index-url file:///opt",
        "-i ./index",
        "-r missing.txt",
        "-r https://e.example/r.txt",
        "-r requirements.txt",
        "flask==${VERSION}",
        "<<<<<<< HEAD",
        "\x00\x01",
    ],
)
def test_requirements_that_ask_for_something_of_the_source_stay_with_it(line):
    assert moved("pip install -r requirements.txt", files={"requirements.txt": f"flask\n{line}\n"}) == Install()


def test_modules_of_the_source_that_pip_would_load_keep_it_in_its_place():
    """`python -m` looks into the working directory first; pip's own program does not."""
    assert moved("python3 -m pip install flask", files={}, names=("logging.py",)) == Install()
    assert moved("pip install flask", files={}, names=("logging.py",)).commands


def test_setup_cfg_comes_along_since_it_may_say_where_to_install():
    assert moved("pip install flask", files={}, names=("setup.cfg",)).files == ("setup.cfg",)


@pytest.mark.parametrize(
    "change",
    [
        {"workspaces": ["packages/*"]},
        {"scripts": {"postinstall": "patch-package"}},
        {"scripts": {"prepare": "husky"}},
        {"scripts": {"dependencies": "node x.js"}},
        {"scripts": "no mapping"},
        {"dependencies": {"x": "file:../x"}},
        {"dependencies": {"x": "link:./x"}},
        {"dependencies": {"x": "workspace:*"}},
        {"dependencies": {"x": "portal:x"}},
        {"dependencies": {"x": "patch:x@1#./x.patch"}},
        {"dependencies": {"x": "./x"}},
        {"dependencies": {"x": "lib/x.tgz"}},
        {"dependencies": {"x": 1}},
        {"devDependencies": {"x": "~/x"}},
        {"overrides": {"x": {"y": "file:y"}}},
        {"resolutions": {"x": "./x"}},
        {"pnpm": {"patchedDependencies": {"x@1": "patches/x.patch"}}},
        {"dependencies": {"express": "^5.0.0"}},  # not what the lock file has
    ],
)
def test_a_package_json_that_reaches_into_the_source_keeps_npm_in_its_place(change):
    package = json.dumps(PACKAGE | change)
    assert moved("npm ci", files=NODE | {"package.json": package}) == Install()


@pytest.mark.parametrize(
    "entry",
    [
        {"node_modules/@prisma/client": {"resolved": "https://r/p.tgz", "hasInstallScript": True}},
        {"node_modules/x": {"resolved": "packages/x", "link": True}},
        {"packages/x": {"version": "1"}},
        {"node_modules/x": {"resolved": "file:x.tgz"}},
        {"node_modules/esbuild": {"name": "evil", "resolved": "https://r/e.tgz", "hasInstallScript": True}},
        {"node_modules/x": None},
    ],
)
def test_scripts_of_packages_that_may_look_at_the_source_keep_npm_in_its_place(entry):
    """Prisma generates its client from a schema of the source, when it is installed."""
    lock = LOCK | {"packages": LOCK["packages"] | entry}
    assert moved("npm ci", files=NODE | {"package-lock.json": json.dumps(lock)}) == Install()


def test_without_a_lock_file_that_tells_of_scripts_none_may_run():
    old = json.dumps({"lockfileVersion": 1, "dependencies": {}})
    assert moved("npm install", files={"package.json": NODE["package.json"]}) == Install()
    assert moved("npm ci", files=NODE | {"package-lock.json": old}) == Install()
    assert moved("npm ci", files=NODE | {"package-lock.json": "[" * 100_000}) == Install()
    assert moved("npm ci", files=NODE | {"npm-shrinkwrap.json": old}) == Install()


@pytest.mark.parametrize(
    "name", ["node_modules", ".yarnrc.yml", ".yarn", "pnpm-workspace.yaml", "binding.gyp", ".npmrc"]
)
def test_what_changes_how_npm_works_keeps_it_in_its_place(name):
    assert moved("npm ci", files=NODE, names=(name,)) == Install()  # .npmrc: it could not be read


@pytest.mark.parametrize("line", ["cafile=./ca.pem", "prefix=./x", "registry=file:./x", "script-shell=./sh", "foo=bar"])
def test_an_npmrc_that_may_name_files_keeps_npm_in_its_place(line):
    assert moved("npm ci", files=NODE | {".npmrc": f"fund=false\n{line}\n"}) == Install()
    good = "; mine\n@me:registry=https://npm.example/\n//npm.example/:_authToken=${TOKEN}\nlegacy-peer-deps=true\n"
    assert moved("npm ci", files=NODE | {".npmrc": good}).files == (".npmrc", "package-lock.json", "package.json")


def test_a_workspace_above_the_source_directory_keeps_npm_in_its_place():
    assert moved("npm ci", files=NODE, above=frozenset({"package.json"})) == Install()
    assert moved("npm ci", files=NODE, above=frozenset({"README.md", "server"})).commands


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (RUBY | {"Gemfile": GEMFILE + 'gem "x", path: "lib/x"\n'}, ()),
        (RUBY | {"Gemfile": GEMFILE + 'eval_gemfile "other"\n'}, ()),
        (RUBY | {"Gemfile": GEMFILE + "gemspec\n"}, ()),
        (RUBY | {"Gemfile": GEMFILE + 'gem "x", File.read("v")\n'}, ()),
        (RUBY | {"Gemfile.lock": "PATH\n  remote: lib\n"}, ()),
        (RUBY, (".bundle",)),
        ({"Gemfile": GEMFILE}, ()),
    ],
)
def test_a_gemfile_that_is_more_than_a_list_keeps_bundler_in_its_place(files, names):
    assert moved("bundle install", files=files, names=names) == Install()


@pytest.mark.parametrize(
    ("files", "around"),
    [
        (GO | {"go.mod": "module x\nreplace a => ./a\n"}, {}),
        (GO | {"go.mod": "module x\nreplace a v1 => ../a\n"}, {}),
        ({"go.mod": GO["go.mod"]}, {}),
        (GO, {"names": ("go.work",)}),
        (GO, {"above": frozenset({"go.work"})}),
    ],
)
def test_a_module_that_is_part_of_the_source_keeps_go_in_its_place(files, around):
    assert moved("go mod download", files=files, **around) == Install()


@pytest.mark.parametrize(
    "name", ["PIP_CONSTRAINT", "pip_target", "NPM_CONFIG_PREFIX", "PYTHONUSERBASE", "PATH", "BUNDLE_PATH"]
)
def test_variables_that_may_lead_into_the_source_keep_everything_in_its_place(name):
    assert moved("pip install flask", files={}, variables=frozenset({name})) == Install()
    fine = frozenset({"PIP_INDEX_URL", "NODE_ENV", "NPM_TOKEN", "npm_config_registry"})
    assert moved("pip install flask", files={}, variables=fine).commands


def test_only_leading_commands_are_moved():
    commands = ("pip install --upgrade pip", "pip install -r constraints.txt", "python setup.py", "pip install flask")
    assert moved(*commands, files=PYTHON).commands == commands[:2]


WORDS = [
    "pip",
    "install",
    "npm",
    "ci",
    "-r",
    "requirements.txt",
    "-e",
    ".",
    "&&",
    ";",
    "|",
    ">",
    "flask",
    "'a b'",
    '"x"',
]
WORDS += [
    "--ignore-scripts",
    "-g",
    "yarn",
    "bundle",
    "go",
    "mod",
    "download",
    "$X",
    "`x`",
    "~",
    "*",
    "\\",
    "\n",
    "#",
    "&",
]
LINES = [
    "flask",
    "-r b.txt",
    "-e .",
    "./x",
    "x @ file:y",
    "# c",
    "--pre",
    "a==1",
    "a/b",
    "x.whl",
    "\\",
    "-c requirements.txt",
]
TEXTS = st.lists(st.sampled_from(LINES), max_size=4).map("\n".join)


@st.composite
def sources(draw):
    files = {name: draw(TEXTS) for name in draw(st.sets(st.sampled_from(["requirements.txt", "b.txt", "c/d.txt"])))}
    if draw(st.booleans()):
        change = draw(st.sampled_from([{}, {"workspaces": ["x"]}, {"scripts": {"install": "x"}}]))
        files |= NODE | {"package.json": json.dumps(PACKAGE | change)}
    more = draw(st.sets(st.sampled_from(["app.py", "node_modules", "setup.cfg", "json.py", ".npmrc", "flask"])))
    return Surroundings(files=files, names=frozenset({path.split("/")[0] for path in files} | more))


COMMANDS = st.lists(st.lists(st.sampled_from(WORDS), max_size=7).map(" ".join), max_size=4).map(tuple)
LIKELY = st.lists(
    st.sampled_from(["pip install -r requirements.txt", "npm ci", "pip install 'a'", "pip install -r c/d.txt && npm i"])
).map(tuple)


@given(st.one_of(COMMANDS, LIKELY), sources())
def test_what_is_moved_is_a_prefix_whose_files_are_there(commands, around):
    found = install_steps(commands, around)

    assert found.commands == commands[: len(found.commands)]
    assert all(path in around.files or path in around.names for path in found.files)
    for command in found.commands:
        assert not re.search(r"[;|<>$`\n#*\\]|(?<!&)&(?!&)|(?:^|\s)(?:-e|\.)(?:\s|$)", command)


@given(st.one_of(COMMANDS, LIKELY), sources())
def test_the_files_it_names_are_all_that_decides(commands, around):
    """In a folder with those alone, as there is when the commands run, the answer is the same."""
    found = install_steps(commands, around)
    alone = Surroundings(
        files={path: text for path, text in around.files.items() if path in found.files},
        names=frozenset(path.split("/")[0] for path in found.files),
    )
    assert install_steps(found.commands, alone) == found
