"""An apprunner.yaml as people write it: what is understood, what is refused, and how both are said."""

import time
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.build import yaml_nodes
from engine.build.config_file import ConfigFile, parse_config
from engine.build.findings import snippet
from engine.build.runtimes import DOCKER
from engine.model.errors import DeployError, Failure, FailureKind
from engine.model.plan import BuildGeneration

HEAD = "version: 1.0\nruntime: python311\n"
BUILD = "build:\n  commands:\n    build:\n      - pip3 install flask\n"
RUN = "run:\n  command: python3 app.py\n"
GOOD = HEAD + BUILD + RUN


class Case(NamedTuple):
    """A file, what helpful reading makes of it and what strict reading does."""

    text: str
    config: dict[str, Any] | None = None
    """Fields of the configuration; None when it is refused."""
    notice: str = ""
    """Part of a notice; "" when there is nothing to say."""
    refused: str = ""
    """Part of the helpful refusal, with line and key."""
    strict: str = ""
    """Part of the strict refusal; "" when strict takes the file."""


CASES: dict[str, Case] = {
    "minimal": Case(
        GOOD, {"command": "python3 app.py", "port": 8080, "build": ("pip3 install flask",), "pre_build": ()}
    ),
    "every key": Case(
        "version: 1.0\nruntime: nodejs18\nbuild:\n  commands:\n    pre-build:\n      - npm i -g x\n"
        "    build:\n      - npm ci\n"
        "      - npm run build\n    post-build:\n      - npm test\n  env:\n    - name: A\n      value: 'b'\nrun:\n"
        "  runtime-version: 18.12\n  pre-run:\n    - echo hi\n  command: node app.js\n  network:\n    port: 8000\n"
        '    env: APP_PORT\n  env:\n    - name: C\n      value: "d e"\n  secrets:\n    - name: S\n'
        "      value-from: 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf:key::'\n",
        {
            "pre_build": ("npm i -g x",),
            "build": ("npm ci", "npm run build"),
            "post_build": ("npm test",),
            "build_env": {"A": "b"},
            "pre_run": ("echo hi",),
            "command": "node app.js",
            "port": 8000,
            "port_env": "APP_PORT",
            "env": {"C": "d e"},
            "secrets": {"S": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf:key::"},
        },
        notice="ended its support for nodejs18 on 2025-12-01",
    ),
    # How the text is written
    "byte order mark, CRLF and no final newline": Case("\ufeff" + GOOD.strip().replace("\n", "\r\n"), {"port": 8080}),
    "leading ---, comments, trailing blanks, blank lines in lists": Case(
        "---\n# é\n" + GOOD.replace("\n", "   \n").replace("    build:   \n", "    build:   \n   \n"), {"port": 8080}
    ),
    "one-space indents": Case(
        "version: 1.0\nruntime: python311\nbuild:\n commands:\n  build:\n   - a\nrun:\n command: b\n", {"build": ("a",)}
    ),
    "name : x": Case(GOOD + "  env:\n    - name : A\n      value : b\n", {"env": {"A": "b"}}),
    "an empty second document": Case(GOOD + "---\n", {"port": 8080}),
    "anchors and merge keys": Case(
        GOOD.replace("build:\n  commands", "build:\n  env: &e\n    - {name: A, value: b}\n  commands") + "  env: *e\n",
        {"build_env": {"A": "b"}, "env": {"A": "b"}},
    ),
    "tabs": Case(
        GOOD.replace("  ", "\t"),
        {"build": ("pip3 install flask",)},
        "line 4: tabs are read as blanks",
        strict="line 4: the line",
    ),
    "a wrapped option": Case(
        GOOD.replace("- pip3 install flask", "- curl x | tar\n      -xz"),
        {"build": ("curl x | tar -xz",)},
        "line 7: the option belongs to the line above",
        strict="line 7: the line is neither",
    ),
    "folded and literal blocks": Case(
        GOOD.replace("python3 app.py", ">\n    gunicorn app:app\n    --workers 2"),
        {"command": "gunicorn app:app --workers 2"},
    ),
    # Version
    "version 1": Case(GOOD.replace("1.0", "1"), {"port": 8080}),
    "version quoted": Case(GOOD.replace("1.0", '"1.0"'), {"port": 8080}),
    "version 1.10": Case(
        GOOD.replace("1.0", "1.10"), {}, 'line 1: version is "1.10"', strict='line 1: version is "1.10"; it must be 1.0'
    ),
    "version 3.9": Case(GOOD.replace("1.0", '"3.9"'), {}, 'version is "3.9"', strict='line 1: version is "3.9"'),
    "version absent": Case(GOOD.replace("version: 1.0\n", ""), {}, "version is missing", strict="version is missing"),
    # Places
    "run inside build": Case(
        HEAD + BUILD + "  run:\n    command: python3 app.py\n    network:\n      port: 9000\n",
        {"command": "python3 app.py", "port": 9000},
        "build.run is not a key of an apprunner.yaml; it is read as run",
        strict="line 7: build.run",
    ),
    "run inside build.commands": Case(
        HEAD + BUILD + "    run:\n      command: python3 app.py\n",
        {"command": "python3 app.py"},
        "build.commands.run is not a key of an apprunner.yaml; it is read as run",
        strict="line 7: build.commands.run",
    ),
    "keys with dots": Case(
        HEAD + "build:\n  build.commands:\n    pre: [echo 1]\n    build: [echo 2]\nrun.command: python3 app.py\n",
        {"command": "python3 app.py", "pre_build": ("echo 1",), "build": ("echo 2",)},
        "build.build.commands is not a key of an apprunner.yaml; it is read as build.commands",
        strict="line 4: build.build.commands",
    ),
    "runtime inside run too": Case(
        GOOD + "  runtime: python311\n",
        refused="line 9: runtime is given twice, here and in line 2; keep one",
        strict="line 9: run.runtime",
    ),
    # Runtimes
    "Nodejs 12": Case(
        GOOD.replace("python311", "Nodejs 12"),
        {},
        '"Nodejs 12" is read as nodejs12',
        strict='line 2: runtime "Nodejs 12"',
    ),
    "nodejs20": Case(GOOD.replace("python311", "nodejs20"), {}, "read as Node.js 20", strict="line 2: runtime"),
    "runtime quoted with a blank": Case(
        GOOD.replace("python311", '"python311 "'), {}, "read as python311", strict="line 2: runtime"
    ),
    "runtime a number": Case(
        GOOD.replace("python311", "3.11"), refused='line 2: runtime "3.11"', strict='line 2: runtime "3.11"'
    ),
    "runtime a mapping": Case(
        GOOD.replace("python311", "\n  name: python311"),
        refused="line 2: runtime is a mapping",
        strict="line 2: runtime is a mapping",
    ),
    "runtime docker": Case(
        "version: 1.0\nruntime: docker\nrun:\n  network:\n    port: 3000\n",
        {"runtime": DOCKER, "dockerfile": "Dockerfile", "command": "", "build": (), "port": 3000},
        "App Runner itself builds no Dockerfile",
        strict="builds no Dockerfile",
    ),
    "runtime DOCKERFILE and a command that was needed for the form": Case(
        GOOD.replace("python311", "DOCKERFILE").replace("pip3 install flask", "docker build -t app ."),
        {"runtime": DOCKER, "build": (), "command": "python3 app.py"},
        "the build commands are left out",
        strict="line 2",
    ),
    "runtime docker with a build": Case(
        GOOD.replace("python311", "docker"),
        refused="line 5: build.commands.build does not go with the runtime docker",
        strict="builds no Dockerfile",
    ),
    "runtime docker with pre-run": Case(
        "version: 1.0\nruntime: docker\nrun:\n  pre-run:\n    - pip install x\n",
        refused="line 4: run.pre-run does not go with the runtime docker",
        strict="builds no Dockerfile",
    ),
    "a Dockerfile elsewhere, and variables for its build": Case(
        "version: 1.0\nruntime: docker\nbuild:\n  dockerfile: deploy/Dockerfile.prod\n  env:\n"
        "    - name: A\n      value: b\n",
        {"dockerfile": "deploy/Dockerfile.prod", "build_env": {"A": "b"}},
        strict="builds no Dockerfile",
        notice="builds no Dockerfile",
    ),
    "a Dockerfile outside": Case(
        "version: 1.0\nruntime: docker\nbuild:\n  dockerfile: ../Dockerfile\n",
        refused="line 4: build.dockerfile",
        strict="builds no Dockerfile",
    ),
    "a dockerfile key and no runtime": Case(
        "version: 1.0\ndockerfile: Dockerfile\nrun:\n  network:\n    port: 80\n",
        {"runtime": DOCKER, "dockerfile": "Dockerfile", "port": 80},
        "runtime docker is meant",
        strict="line 2: dockerfile",
    ),
    "runtime docker and a version": Case(
        "version: 1.0\nruntime: docker\nrun:\n  runtime-version: 3.11\n",
        {"runtime": DOCKER},
        "run.runtime-version is left out",
        strict="builds no Dockerfile",
    ),
    "runtime absent": Case(
        GOOD.replace("runtime: python311\n", ""), refused="runtime is missing", strict="runtime is missing"
    ),
    "runtime null": Case(
        GOOD.replace("python311", ""), refused="line 2: runtime is missing", strict="line 2: runtime is missing"
    ),
    "runtime a template": Case(
        GOOD.replace("python311", "<<runtime>>"), refused="line 2: runtime holds", strict="line 2: runtime"
    ),
    "runtime a braced template": Case(
        GOOD.replace("python311", "{{ runtime }}"), refused="line 2: a template", strict="line 2: a template"
    ),
    "runtime-version 3.10 unquoted": Case(
        GOOD.replace("python311", "python3") + "  runtime-version: 3.10\n",
        {},
        "runtime-version 3.10 is used as asked",
        strict='line 9: run.runtime-version "3.10"',
    ),
    "runtime-version latest": Case(
        GOOD + "  runtime-version: latest\n", {}, "newest version", strict='line 9: run.runtime-version "latest"'
    ),
    "runtime-version a word": Case(
        GOOD + "  runtime-version: new\n", refused="line 9: run.runtime-version", strict="line 9: run.runtime-version"
    ),
    # Build
    "build.commands a list": Case(
        HEAD + "build:\n  commands:\n    - npm ci\n" + RUN,
        refused="line 4: build.commands is a list",
        strict="line 4: build.commands is a list",
    ),
    "build.commands one text": Case(
        HEAD + "build:\n  commands: |\n    npm ci\n" + RUN,
        refused="line 4: build.commands is the text",
        strict="line 4: build.commands",
    ),
    "build one text": Case(
        HEAD + "build: |\n  npm ci\n" + RUN, refused="line 3: build is the text", strict="line 3: build is the text"
    ),
    "build a list": Case(
        HEAD + "build:\n  - npm ci\n" + RUN, refused="line 3: build is a list", strict="line 3: build is a list"
    ),
    "build.commands.build one text": Case(
        GOOD.replace("\n      - pip3 install flask", " |\n      a\n      b \\\n        c"),
        {"build": ("a", "b c")},
        "line 5: build.commands.build is one text",
        strict="line 5: build.commands.build is one text",
    ),
    "a block that is one script": Case(
        GOOD.replace("- pip3 install flask", "- |\n        if true; then\n          a\n        fi"),
        {"build": ("set -e\nif true; then\na\nfi",)},
    ),
    "build.commands.build a mapping": Case(
        GOOD.replace("- pip3", "first: pip3"),
        refused="line 5: build.commands.build is a mapping",
        strict="line 5: build.commands.build is a mapping",
    ),
    "a command with a colon": Case(
        GOOD.replace("pip3 install flask", 'echo "a: b" # c'),
        {"build": ('echo "a: b"',)},
        "line 6:",
        strict="line 6:",
    ),
    "a step of another service": Case(
        GOOD.replace("pip3 install flask", "run: npm ci"),
        refused="line 6: a command of build.commands.build is a mapping",
        strict="line 6:",
    ),
    "a dash without a command": Case(
        GOOD.replace("flask\n", "flask\n      -\n"),
        {"build": ("pip3 install flask",)},
        "line 7:",
        strict="line 7: a command of",
    ),
    "dashes without blanks": Case(
        GOOD.replace("- pip3", "-pip3"),
        refused="line 5: build.commands.build needs a blank",
        strict="line 5: build.commands.build",
    ),
    "an empty list": Case(
        GOOD.replace("\n      - pip3 install flask", " []"),
        {"build": ()},
        "line 5: build.commands.build has no",
        strict="line 5: build.commands.build has no",
    ),
    "no build section": Case(
        HEAD + RUN, {"build": ()}, "build.commands.build has no commands", strict="build.commands.build has no commands"
    ),
    "build null": Case(
        HEAD + "build:\n" + RUN, {"build": ()}, "line 3: build is empty", strict="build.commands.build has no"
    ),
    "pre_build": Case(
        GOOD.replace("    build:\n", "    pre_build:\n      - x\n    build:\n"),
        {"pre_build": ("x",)},
        "read as build.commands.pre-build",
        strict="line 5: build.commands.pre_build",
    ),
    "phases without commands": Case(
        HEAD + "build:\n  pre-build:\n    - x\n  build:\n    - y\n" + RUN,
        {"pre_build": ("x",), "build": ("y",)},
        "line 4:",
        strict="line 4: build.pre-build",
    ),
    "a Dockerfile": Case(
        GOOD.replace("build:\n  com", "build:\n  dockerfile: D\n  com"),
        refused="line 4: build.dockerfile",
        strict="line 4: build.dockerfile",
    ),
    # Run
    "no run": Case(HEAD + BUILD, refused="run.command is missing", strict="run.command is missing"),
    "no run.command": Case(
        HEAD + BUILD + "run:\n  network:\n    port: 80\n",
        refused="run.command is missing",
        strict="run.command is missing",
    ),
    "run.command empty": Case(
        GOOD.replace("python3 app.py", ""),
        refused="line 8: run.command is missing",
        strict="line 8: run.command is missing",
    ),
    "run a text": Case(
        HEAD + BUILD + "run: node app.js\n",
        {"command": "node app.js"},
        "line 7: run is the text",
        strict="line 7: run is the text",
    ),
    "run.command a list of one": Case(
        GOOD.replace("python3 app.py", "\n    - python3 app.py"),
        {"command": "python3 app.py"},
        "line 8: run.command is a list",
        strict="line 8: run.command",
    ),
    "run.command a list of words": Case(
        GOOD.replace("python3 app.py", '["gunicorn", "app:create()"]'),
        {"command": "gunicorn 'app:create()'"},
        "line 8: run.command is a list",
        strict="line 8: run.command",
    ),
    "run.command a list of commands": Case(
        GOOD.replace("python3 app.py", "\n    - npm run db\n    - npm start"),
        refused="line 8: run.command is a list of 2",
        strict="line 8: run.command is a list",
    ),
    "run.command with an open quote": Case(
        GOOD.replace("python3 app.py", "python3 'app.py"),
        refused="line 8: run.command cannot be read: a single quote",
        config=None,
        strict="",
    ),
    "run.port": Case(
        GOOD + "  port: 3000\n", {"port": 3000}, "read as run.network.port", strict="line 9: run.port is not a key"
    ),
    "run.environment": Case(
        GOOD + "  environment:\n    - name: A\n      value: b\n",
        {"env": {"A": "b"}},
        "read as run.env",
        strict="line 9: run.environment",
    ),
    "run.healthCheck": Case(
        GOOD + "  healthCheck:\n    path: /\n", refused="line 9: run.healthCheck", strict="line 9: run.healthCheck"
    ),
    "network at the top": Case(
        GOOD + "network:\n  port: 3000\n", {"port": 3000}, "line 9: network is not a key", strict="line 9: network"
    ),
    "network null": Case(GOOD + "  network:\n", {"port": 8080}, "line 9: run.network is empty"),
    "network a number": Case(
        GOOD + "  network: 3000\n",
        {"port": 3000},
        "line 9: run.network is the number 3000",
        strict="line 9: run.network",
    ),
    "network a list": Case(
        GOOD + "  network:\n    - port: 3000\n",
        refused="line 9: run.network is a list",
        strict="line 9: run.network is a list",
    ),
    "network.ingress": Case(
        GOOD + "  network:\n    ingress: x\n",
        refused="line 10: run.network.ingress",
        strict="line 10: run.network.ingress",
    ),
    "network.protocol": Case(
        GOOD + "  network:\n    protocol: tcp\n", refused="line 10: run.network.protocol", strict="line 10:"
    ),
    "network.env PORT": Case(GOOD + "  network:\n    env: PORT\n", {"port_env": ""}),
    "network.env a list of one name": Case(
        GOOD + "  network:\n    env:\n      - P\n",
        {"port_env": "P"},
        "line 10:",
        strict="line 10: run.network.env is a list",
    ),
    "network.env a list of variables": Case(
        GOOD + "  network:\n    env:\n      - name: A\n        value: b\n",
        {"env": {"A": "b"}, "port_env": ""},
        "read as run.env",
        strict="line 10: run.network.env",
    ),
    "network.env a number": Case(
        GOOD + "  network:\n    env: 8080\n", refused='line 10: run.network.env is "8080"', strict="line 10:"
    ),
    "port quoted": Case(GOOD + "  network:\n    port: '3000'\n", {"port": 3000}),
    "port too large": Case(
        GOOD + "  network:\n    port: 80800\n", refused='line 10: run.network.port is "80800"', strict="from 1 to 65535"
    ),
    "port zero": Case(
        GOOD + "  network:\n    port: 0\n", refused="line 10: run.network.port", strict="line 10: run.network.port"
    ),
    "port a variable": Case(
        GOOD + "  network:\n    port: $PORT\n", refused="line 10: run.network.port", strict="line 10: run.network.port"
    ),
    "pre-run with an original runtime": Case(
        GOOD.replace("python311", "python3") + "  pre-run:\n    - x\n",
        {"pre_run": ("x",)},
        "line 9: run.pre-run does not go with python3",
        strict="line 9: run.pre-run",
    ),
    # Variables and secrets
    "values that are no text": Case(
        GOOD
        + "  env:\n    - name: A\n      value: 010\n    - name: B\n      value: true\n"
        + "    - name: C\n      value: 1.50\n    - name: D\n      value:\n",
        {"env": {"A": "010", "B": "true", "C": "1.50", "D": ""}},
    ),
    "env a mapping": Case(
        GOOD + "  env:\n    A: 1\n",
        {"env": {"A": "1"}},
        "line 9: run.env is a mapping",
        strict="line 9: run.env is a mapping",
    ),
    "env as NAME=VALUE": Case(
        GOOD + "  env:\n    - A=b=c\n", {"env": {"A": "b=c"}}, "NAME=VALUE", strict="line 10: an entry"
    ),
    "env as NAME: VALUE": Case(
        GOOD + "  env:\n    - NAME: world\n", {"env": {"NAME": "world"}}, "NAME: VALUE", strict="line 10: an entry"
    ),
    "env with key": Case(
        GOOD + "  env:\n    - key: A\n      value: b\n", {"env": {"A": "b"}}, "read as name", strict="line 10: an entry"
    ),
    "env with capitals": Case(
        GOOD + "  env:\n    - Name: A\n      Value: b\n",
        {"env": {"A": "b"}},
        "read as name",
        strict="line 10: an entry",
    ),
    "env twice": Case(
        GOOD + "  env:\n    - {name: A, value: b}\n    - {name: A, value: c}\n",
        {"env": {"A": "c"}},
        "the last one counts",
    ),
    "env without a value": Case(
        GOOD + "  env:\n    - name: A\n", refused='line 10: the entry "A" of run.env has 0 values', strict="line 10:"
    ),
    "env value a list": Case(
        GOOD + "  env:\n    - name: A\n      value: [x]\n", refused="line 10: the value of A", strict="line 10:"
    ),
    "env name reserved": Case(
        GOOD + "  env:\n    - name: AWSAPPRUNNER_A\n      value: x\n",
        refused="line 10: run.env has the name",
        strict="reserved",
    ),
    "env with a secret": Case(
        GOOD + "  env:\n    - name: A\n      value-from: p\n",
        {"secrets": {"A": "p"}},
        "read as a secret",
        strict="line 10: A in run.env",
    ),
    "env and secret of one name": Case(
        GOOD + "  env:\n    - {name: A, value: b}\n  secrets:\n    - {name: A, value-from: p}\n",
        refused='line 9: "A" is given twice',
        strict='line 9: "A"',
    ),
    "a secret as valueFrom": Case(
        GOOD + "  secrets:\n    - name: A\n      valueFrom: /p/q!r\n",
        {"secrets": {"A": "/p/q!r"}},
        "read as value-from",
        strict="line 11:",
    ),
    "a secret with an ARN as value": Case(
        GOOD + "  secrets:\n    - name: A\n      value: arn:aws:ssm:x\n",
        {"secrets": {"A": "arn:aws:ssm:x"}},
        "read as value-from",
        strict="line 10:",
    ),
    "a secret with a plain value": Case(
        GOOD + "  secrets:\n    - name: A\n      value: hunter2\n",
        refused="line 10: the secret A has a plain value",
        strict="line 10:",
    ),
    # The whole file
    "an invented tree": Case(
        "service:\n  name: x\n", refused="line 1: this is no App Runner configuration", strict="line 1: this is no"
    ),
    "unknown keys": Case(
        GOOD + "auto_deploy: true\n", refused="line 9: auto_deploy is not a key", strict="line 9: auto_deploy"
    ),
    "source_directory": Case(
        GOOD + "source_directory: x\n", refused="line 9: source_directory is not a key", strict="line 9:"
    ),
    "a misspelt key": Case(
        GOOD.replace("command:", "comand:"),
        refused="line 8: run.comand is not a key of an apprunner.yaml; did you mean command",
        strict="line 8:",
    ),
    "a key given twice": Case(
        GOOD + "run:\n  command: x\n",
        refused="line 9: run is given twice, here and in line 7",
        strict="line 9: run is given twice",
    ),
    "a key given twice under two names": Case(
        GOOD + "  port: 1\n  network:\n    port: 2\n",
        refused="line 11: run.network.port is given twice, here and in line 9",
        strict="line 9: run.port",
    ),
    "merge conflict": Case(
        "<<<<<<< a\n" + GOOD + "=======\n>>>>>>> b\n",
        refused="line 1: a merge conflict",
        strict="line 1: a merge conflict",
    ),
    "empty": Case("", refused="the file is empty", strict="the file is empty"),
    "a comment only": Case("# x\n", refused="the file is empty", strict="the file is empty"),
    "a list": Case("- a\n", refused="the file is a list", strict="the file is a list"),
    "two documents": Case(GOOD + "---\nx: y\n", refused="line 9: a second YAML document", strict="line 9: a second"),
    "bad indentation": Case(GOOD + " network:\n", refused="line 9: the indentation", strict="line 9: the indentation"),
    "an open quote": Case(GOOD + '  env: "x\n', refused="line 9: a quote or a bracket", strict="line 9: a quote"),
    "a reserved character": Case(
        GOOD.replace("python311", "@x"), refused="line 2: a value cannot start with @", strict="line 2: a value"
    ),
    "a value with a reserved character": Case(
        GOOD + "  env:\n    - name: A\n      value: %x\n",
        {"env": {"A": "%x"}},
        "line 11: the value is read as if it stood in quotes",
        strict="line 11: a value cannot start with %",
    ),
    "a colon in a command": Case(
        GOOD.replace("app.py", '-c "x: y"'),
        {"command": 'python3 -c "x: y"'},
        "line 8: the value is read as if it stood in quotes",
        strict="line 8: a colon",
    ),
    "a colon in a name": Case(
        GOOD.replace("python311", "a: b"), refused="line 2: a colon does not fit", strict="line 2: a colon"
    ),
    "an unquoted ARN that ends in colons": Case(
        GOOD
        + "  secrets:\n    - name: A\n      value-from: arn:aws:x:key:: # c\n"
        + "    - name: B\n      value-from: arn:aws:y::\n",
        {"secrets": {"A": "arn:aws:x:key::", "B": "arn:aws:y::"}},
        "line 11: the value is read as if it stood in quotes",
        strict="line 11:",
    ),
    "a line that is nothing": Case(
        HEAD + "hello\n" + BUILD + RUN, refused="line 3: the line is neither", strict="line 3"
    ),
    "an unknown tag": Case(GOOD.replace("python3 app.py", "!Ref x"), refused="line 8: a tag", strict="line 8: a tag"),
    "an unknown alias": Case(
        GOOD.replace("python3 app.py", "*x"),
        refused="line 8: an alias is defined nowhere",
        strict="line 8: an alias",
    ),
    "an alias of itself": Case("a: &a\n  b: *a\n", refused="line 2: an alias contains itself", strict="line 2:"),
    "a control character": Case(
        GOOD.replace("app.py", "a\x07.py"), refused="line 8: the control character U+0007", strict="line 8:"
    ),
}


def outcome_of(data: bytes, *, strict: bool) -> ConfigFile | Failure:
    try:
        return parse_config(data, strict=strict)
    except DeployError as error:
        return error.failure


@pytest.mark.parametrize("name", CASES)
def test_helpful(name, refused):
    case = CASES[name]
    if case.config is None:
        failure = refused(lambda: parse_config(case.text.encode()))
        assert case.refused in failure.message
        assert failure.message.startswith("apprunner.yaml")
        return
    config = parse_config(case.text.encode())
    assert {key: getattr(config, key) for key in case.config} == case.config
    if case.notice:
        assert any(case.notice in notice for notice in config.notices), config.notices
    else:
        assert config.notices == ()


@pytest.mark.parametrize("name", CASES)
def test_strict(name, refused):
    """Strict says nothing: it takes a file without a notice or refuses it."""
    case = CASES[name]
    if case.strict:
        failure = refused(lambda: parse_config(case.text.encode(), strict=True))
        assert case.strict in "\n".join((failure.message, *failure.evidence))
        return
    assert parse_config(case.text.encode(), strict=True).notices == ()


@pytest.mark.parametrize("name", CASES)
def test_both_yaml_parsers_agree(name, monkeypatch):
    """PyYAML comes with or without libyaml; what is read and what is said is the same."""
    data = CASES[name].text.encode()
    first = outcome_of(data, strict=False)
    monkeypatch.setattr(yaml_nodes, "_LOADER", yaml.SafeLoader)
    assert outcome_of(data, strict=False) == first


def test_hints_are_yaml():
    """What a refusal offers can be pasted: it is YAML, and says something."""
    hints = 0
    for case in CASES.values():
        for strict in (False, True):
            try:
                parse_config(case.text.encode(), strict=strict)
            except DeployError as error:
                hint = error.failure.hint
                hints += bool(hint)
                yaml.safe_load(hint)
    assert hints > 70


def test_a_list_under_build_commands_is_answered_with_the_corrected_snippet(refused):
    failure = refused(
        lambda: parse_config(
            b"version: 1.0\nruntime: nodejs18\nbuild:\n  commands:\n    - npm ci\n    - npm run x\nrun:\n  command: y\n"
        )
    )
    assert failure.hint == "build:\n  commands:\n    build:\n      - npm ci\n      - npm run x"
    assert failure.evidence == ("   4 |   commands:",)


def test_all_problems_are_reported_at_once(refused):
    text = GOOD.replace("python311", "buildpack") + "  network:\n    port: x\n  healthCheck: y\n"
    failure = refused(lambda: parse_config(text.encode(), "server/apprunner.yaml"))
    assert failure.message.startswith('server/apprunner.yaml line 2: runtime "buildpack"')
    assert failure.message.endswith("(and 2 more problems).")
    assert [line[:4] for line in failure.evidence if line[4:7] == " | "] == ["   2", "  10", "  11"]
    assert yaml.safe_load(failure.hint) == {"runtime": "python311", "run": {"network": {"port": 8080}}}


def test_the_fixes_of_a_strict_refusal_make_the_file_acceptable():
    """Merged into the file, the hint is accepted: the snippet really is the correction."""
    text = (
        "version: 1.10\nruntime: Nodejs 12\nbuild:\n  commands:\n    build: npm ci\nrun:\n  command: [npm, start]\n"
        "  port: 3000\n  environment:\n    - name: A\n      value: b\n"
    )
    with pytest.raises(DeployError) as caught:
        parse_config(text.encode(), strict=True)
    config = parse_config(caught.value.failure.hint.encode(), strict=True)
    assert (config.runtime.name, config.build, config.command, config.port) == (
        "nodejs12",
        ("npm ci",),
        "npm start",
        3000,
    )


VALUES = {
    "in an unknown section": '  settings:\n    - name: TOKEN\n      value: "hunter2\n',
    "environment map": "  environment:\n    TOKEN: hunter2\n",
    "environment list": "  environment:\n    - TOKEN=hunter2\n",
    "env map": "  env:\n    TOKEN: hunter2\n",
    "env text": "  env: TOKEN=hunter2\n",
    "name=value": "  env:\n    - TOKEN=hunter2\n",
    "name: value": "  env:\n    - TOKEN: hunter2\n",
    "flow": "  env:\n    - {name: TOKEN, value: hunter2, x: y}\n",
    "flow reserved": "  env:\n    - {name: AWSAPPRUNNER, value: hunter2}\n",
    "no equals": "  env:\n    - TOKEN hunter2\n",
    "list value": "  env:\n    - name: TOKEN\n      value: [hunter2]\n",
    "open quote": '  env:\n    - name: TOKEN\n      value: "hunter2\n',
    "open quote flow": '  env:\n    - {name: TOKEN, value: "hunter2}\n',
    "open quote map": '  env:\n    TOKEN: "hunter2\n',
    "tag": "  env:\n    - name: TOKEN\n      value: !x hunter2\n",
    "alias": "  env:\n    - name: TOKEN\n      value: *hunter2\n",
    "top network": "network:\n  env:\n    TOKEN: hunter2\n",
    "network env list": "  network:\n    env:\n      - name: TOKEN\n        value: hunter2\n",
    "network env map": "  network:\n    env:\n      TOKEN: hunter2\n",
    "secret plain": "  secrets:\n    - name: TOKEN\n      value: hunter2\n",
    "secret map": "  secrets:\n    TOKEN: {a: hunter2}\n",
    "wrong key": "  env:\n    - name: TOKEN\n      val: hunter2\n",
    "unknown holder": "  envs:\n    TOKEN: hunter2\n",
    "env top": "env:\n  TOKEN: hunter2\n",
    "template": "  env:\n    - name: TOKEN\n      value: <<hunter2>>\n",
    "dup": "  env:\n    - {name: T, value: hunter2}\n    - {name: T, value: hunter2}\n",
    "bad colon": "  env:\n    - name: TOKEN\n      val: a: hunter2\n",
}
"""Ends of files that hold the value hunter2 in every way that can go wrong."""


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("strict", [False, True])
def test_values_of_variables_never_reach_a_message(name, strict):
    """Message, evidence, hint and notices name the variable; its value stays in the file."""
    outcome = outcome_of((GOOD + VALUES[name]).encode(), strict=strict)
    failed = isinstance(outcome, Failure)
    said = (outcome.message, *outcome.evidence, outcome.hint) if failed else outcome.notices
    assert "hunter2" not in "\n".join(said)


def test_a_refused_variable_is_quoted_as_far_as_its_name(refused):
    failure = refused(lambda: parse_config((GOOD + "  env:\n    - {name: TOKEN, value: hunter2, x: y}\n").encode()))
    assert failure.evidence == ("  10 |     - {name: TOKEN …",)


def test_a_configuration_does_not_print_its_environment():
    config = parse_config((GOOD + "  env:\n    - name: TOKEN\n      value: hunter2\n").encode())
    assert "hunter2" not in repr(config)


def test_another_file_name_is_used_with_a_notice():
    config = parse_config(GOOD.encode(), "apprunner.yml")
    assert config.notices == (
        "apprunner.yml: the file is used under this name. App Runner itself reads apprunner.yaml only.",
    )


def test_bytes_that_are_not_utf8_are_refused_in_values_and_ignored_in_comments(refused):
    in_comment = GOOD.encode() + b"# caf\xe9\n"
    assert parse_config(in_comment).command == "python3 app.py"
    assert "line 9: a character is not UTF-8" in refused(lambda: parse_config(in_comment, strict=True)).message
    in_value = GOOD.encode().replace(b"app.py", b"caf\xe9.py")
    assert "line 8: a character is not UTF-8" in refused(lambda: parse_config(in_value)).message


def test_utf16_is_read():
    assert parse_config(GOOD.encode("utf-16")).command == "python3 app.py"


def test_a_huge_file_is_refused(refused):
    assert "at most 262,144" in refused(lambda: parse_config(GOOD.encode() + b"#" * yaml_nodes.MAX_BYTES)).message


def test_a_billion_laughs_are_refused_by_their_weight(refused):
    """Nine levels of ten aliases each, where they would be read."""
    names = "abcdefghi"
    levels = ["    - &a [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"    - &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in pairwise(names)]
    failure = refused(lambda: parse_config((GOOD + "  env:\n" + "\n".join(levels) + "\n").encode()))
    assert "the file holds too many values when its aliases are followed" in failure.message


def test_tabs_whose_width_matters_are_refused(refused):
    """A tab that is a sibling at width two and something else at four has no one meaning."""
    text = HEAD + BUILD + "run:\n  command: x\n\tnetwork:\n\t\tport: 3000\n"
    assert "line 9: the line is indented with a tab" in refused(lambda: parse_config(text.encode())).message


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [" + ", ".join([f"*{chr(97 + n)}"] * 10) + "]\n" for n in range(9)),
        "[" * 100_000,
        "{a: " * 50_000,
        "- " * 100_000,
        "&a " * 80_000,
        "run:\n  command: " + "a " * 100_000,
        "run:\n  command: '" + " " * 200_000 + "\n" * 20_000 + "x'\n",
        'run:\n  command: "' + "\\\n" * 100_000 + 'x"\n',
        GOOD.replace("pip3 install flask", "sudo a; " * 25_000),
        HEAD + "build:\n  commands:\n    build:\n" + "      - export A=1\n" * 6_000 + "      - x\n" * 6_000 + RUN,
        GOOD + "  env:\n" + "    - A\n" * 15_000,
        GOOD + "  env:\n    - &v {name: A, value: '" + "x" * 200_000 + "'}\n" + "    - *v\n" * 5_000,
        GOOD + "".join(f"k{n}: v\n" for n in range(15_000)),
        "\t" * 200_000,
        " " * 200_000 + "x",
        "- " * 300 + "x\n" + ("-" + " " * 300 + "\n") * 700,
        ("env:\n" + " " * 300 + "{" * 60 + "\n") * 600,
        "a:\n" + "\t- b\n" * 40_000,
        "- a\n  -xz\n" * 20_000,
        "<<<<<<<\n" * 20_000,
        "{{" * 100_000,
        "'" * 200_000,
        "\u2028" * 80_000,
    ],
    ids=range(23),
)
def test_hostile_files_are_answered_quickly(text):
    started = time.process_time()
    for strict in (False, True):
        with pytest.raises(DeployError):
            parse_config(text.encode(), strict=strict)
    assert time.process_time() - started < 2


WORDS = [
    "version",
    "runtime",
    "build",
    "commands",
    "pre-build",
    "run",
    "command",
    "network",
    "port",
    "env",
    "name",
    "value",
    "secrets",
]
YAMLISH = st.lists(
    st.sampled_from(
        [
            *WORDS,
            *(f"{word}:" for word in WORDS),
            *"-:#{}[]&*!|>'\"%@`,?",
            "\n",
            "\n  ",
            "\n    ",
            "\t",
            " ",
            "- ",
            ": ",
        ]
    )
    | st.text(max_size=6),
    max_size=60,
).map("".join)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(), YAMLISH, YAMLISH.map(lambda text: GOOD + text)), st.booleans())
@example('"\\U00110000"', False)
@example('"\\ud800": x', False)
@example("%YAML 1.1\n%YAML 1.1\n", False)
def test_no_text_raises_anything_but_a_deploy_error(text, strict):
    outcome = outcome_of(text.encode("utf-8", "surrogatepass"), strict=strict)
    if isinstance(outcome, Failure):
        assert outcome.kind is FailureKind.CONFIG
        assert outcome.message.startswith("apprunner.yaml")
    else:
        assert not (strict and outcome.notices)


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=400), st.booleans())
def test_no_bytes_raise_anything_but_a_deploy_error(data, strict):
    outcome = outcome_of(data, strict=strict)
    assert isinstance(outcome, ConfigFile) or outcome.kind is FailureKind.CONFIG


# Without control characters and characters that YAML takes for line breaks.
LINE = st.text(
    st.characters(
        min_codepoint=32, max_codepoint=0x2FFF, exclude_characters="\x7f\x85\u2028\u2029", exclude_categories=["C", "Z"]
    ),
    min_size=1,
    max_size=20,
)
NAME = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ_", min_size=1, max_size=10).filter(
    lambda name: not name.startswith("AWSAPPRUNNER")
)
COMMANDS = st.lists(LINE, min_size=1, max_size=4).map(tuple)


@st.composite
def configs(draw: st.DrawFn) -> ConfigFile:
    runtime = parse_config(GOOD.encode()).runtime
    env = draw(st.dictionaries(NAME, LINE | st.just(""), max_size=4))
    return ConfigFile(
        path="apprunner.yaml",
        runtime=runtime,
        pre_build=draw(COMMANDS | st.just(())),
        build=draw(COMMANDS),
        post_build=draw(COMMANDS | st.just(())),
        build_env=draw(st.dictionaries(NAME, LINE, max_size=4)),
        pre_run=draw(COMMANDS | st.just(())),
        command=draw(LINE.filter(lambda line: line.strip("\\"))),
        port=draw(st.integers(1, 65535)),
        port_env=draw(NAME.filter(lambda name: name != "PORT") | st.just("")),
        env=env,
        secrets=draw(st.dictionaries(NAME.filter(lambda name: name not in env), LINE, max_size=3)),
    )


def rendered(config: ConfigFile) -> str:
    def pairs(env: dict[str, str], member: str) -> list[dict[str, str]]:
        return [{"name": name, member: value} for name, value in env.items()]

    assert config.runtime.generation is BuildGeneration.REVISED
    return snippet(
        {
            "version": 1.0,
            "runtime": config.runtime.name,
            "build": {
                "commands": {
                    "pre-build": [*config.pre_build],
                    "build": [*config.build],
                    "post-build": [*config.post_build],
                },
                "env": pairs(config.build_env, "value"),
            },
            "run": {
                "pre-run": [*config.pre_run],
                "command": config.command,
                "network": {"port": config.port} | ({"env": config.port_env} if config.port_env else {}),
                "env": pairs(config.env, "value"),
                "secrets": pairs(config.secrets, "value-from"),
            },
        }
    )


@settings(max_examples=60, deadline=None)
@given(configs())
def test_a_rendered_configuration_reads_back_as_itself(config):
    """Strict, so that nothing in the texts is interpreted."""
    assert outcome_of(rendered(config).encode(), strict=True) == config


@pytest.mark.parametrize("strict", [False, True])
def test_an_ordinary_file_is_read_in_milliseconds(strict):
    data = CASES["every key"].text.encode()
    parse_config(data)
    started = time.process_time()
    for _ in range(20):
        parse_config(data, strict=strict)
    assert (time.process_time() - started) / 20 < 0.05
