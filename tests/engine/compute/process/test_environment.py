"""What builds and instances get to see."""

from pathlib import Path

from engine.compute.process.environment import build_base, build_environment, run_base, run_environment

USER = {
    "PATH": "/usr/bin:relative:/bin",
    "HOME": "/home/me",
    "LANG": "de_DE.UTF-8",
    "LC_ALL": "C",
    "HTTPS_PROXY": "http://proxy",
    "no_proxy": "localhost",
    "PIP_INDEX_URL": "https://mirror",
    "PIP_TARGET": "/somewhere",
    "NPM_CONFIG_REGISTRY": "https://npm",
    "npm_config_prefix": "/home/me/.npm-global",
    "UV_CACHE_DIR": "/cache",
    "UV_PROJECT_ENVIRONMENT": "/elsewhere",
    "NODE_EXTRA_CA_CERTS": "/ca.pem",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "HOMERUN_HOME": "/h",
    "PYTHONPATH": "/mine",
    "VIRTUAL_ENV": "/mine",
    "GITHUB_TOKEN": "secret",
}


def build_env(**build_env: str) -> dict[str, str]:
    return build_environment(
        build_base(USER),
        build_env,
        version_id="v1",
        toolbox=Path("/toolbox"),
        bin_dirs=[Path("/venv/bin"), Path("/npm/bin")],
        npm_prefix=Path("/npm"),
        venv=Path("/venv"),
    )


def run_env(app_env: dict[str, str] | None = None, port_env: str = "") -> dict[str, str]:
    return run_environment(
        run_base(USER),
        app_env or {},
        instance_id="i1",
        home=Path("/i/home"),
        shim=Path("/my shim"),
        bin_dirs=[Path("/venv/bin")],
        venv=Path("/venv"),
        port=20001,
        port_env=port_env,
        service_port=8080,
    )


def test_a_build_sees_the_users_caches_proxies_and_indexes():
    env = build_env()

    for name in ("HOME", "LC_ALL", "HTTPS_PROXY", "no_proxy", "PIP_INDEX_URL", "NPM_CONFIG_REGISTRY", "UV_CACHE_DIR"):
        assert env[name] == USER[name]


def test_nobody_sees_credentials_or_what_would_install_elsewhere():
    env = build_env()

    assert not env.keys() & {"AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "HOMERUN_HOME", "PYTHONPATH", "PIP_TARGET"}
    assert "UV_PROJECT_ENVIRONMENT" not in env
    assert env["npm_config_prefix"] == "/npm"
    assert not run_env().keys() & {"AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "HOMERUN_HOME", "PIP_INDEX_URL", "LC_ALL"}


def test_stand_ins_and_the_versions_own_tools_come_first_on_path():
    assert build_env()["PATH"] == "/toolbox:/venv/bin:/npm/bin:/usr/bin:/bin"
    assert run_env()["PATH"] == "/venv/bin:/usr/bin:/bin"


def test_the_plans_build_variables_win():
    env = build_env(PIP_INDEX_URL="https://theirs", GREETING="hi")

    assert (env["PIP_INDEX_URL"], env["GREETING"]) == ("https://theirs", "hi")


def test_an_instance_gets_its_port_whatever_the_application_says():
    env = run_env({"PORT": "8080", "LISTEN": "8080", "MODE": "prod"}, port_env="LISTEN")

    assert (env["PORT"], env["LISTEN"], env["MODE"]) == ("20001", "20001", "prod")
    assert env["HOMERUN_SERVICE_PORT"] == "8080"


def test_an_instance_has_a_home_of_its_own():
    assert run_env()["HOME"] == "/i/home"
    assert run_env({"HOME": "/theirs"})["HOME"] == "/theirs"


def test_the_applications_own_search_paths_and_options_are_kept():
    env = run_env({"PATH": "/theirs", "PYTHONPATH": "/lib", "NODE_OPTIONS": "--max-old-space-size=64"})

    assert env["PATH"] == "/venv/bin:/theirs:/usr/bin:/bin"
    assert env["PYTHONPATH"] == "/my shim:/lib"
    assert env["NODE_OPTIONS"] == '--require "/my shim/homerun_shim.cjs" --max-old-space-size=64'


def test_output_is_not_held_back_unless_the_application_wants_it():
    assert run_env()["PYTHONUNBUFFERED"] == "1"
    assert run_env({"PYTHONUNBUFFERED": ""})["PYTHONUNBUFFERED"] == ""
