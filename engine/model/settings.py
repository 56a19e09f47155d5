"""What can be set for a home: `settings.yaml` in the data folder, overridden by the command line."""

from engine.model.base import Value
from engine.model.ids import DEFAULT_REGION

DEFAULT_API = "127.0.0.1:8801"
DEFAULT_EDGE = "127.0.0.1:8800"


class BuildSettings(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What image builds get besides the source. Nothing of it lands in an image."""

    ca_bundle: str = ""
    """A file of CA certificates (PEM) that build commands trust as well; "" for those of the base image alone."""
    secrets: tuple[str, ...] = ()
    """Names of variables of Homerun's own environment that build commands see, such as NPM_TOKEN."""


class Settings(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every setting with its default. Times are seconds."""

    region: str = DEFAULT_REGION
    """The region in ARNs and default domains."""
    api: str = DEFAULT_API
    """HOST:PORT of the App Runner API; port 0 picks a free one, and so does the default when it is taken."""
    edge: str = DEFAULT_EDGE
    """HOST:PORT of the front door for services; likewise."""
    compute: str = "auto"
    """auto, process or docker."""
    docker_host: str = ""
    """The engine's address, unix:///path or tcp://127.0.0.1:port; "" finds it as the docker command does."""
    base_images: dict[str, str] = {}
    """Runtime to the image that it is built and run on, instead of the default one."""
    build: BuildSettings = BuildSettings()
    image_poll_s: float = 60.0
    """How often the tag of an image with automatic deployments is looked up in its registry."""
    strict: bool = False
    """Refuse in an apprunner.yaml exactly what App Runner refuses, instead of being helpful."""
    startup_timeout_s: float = 300.0
    """An instance must be healthy this long after its start (App Runner: five minutes)."""
    wrong_port_grace_s: float = 20.0
    """An instance that listens, but only on other ports than its own, is given up after this long."""
    stop_grace_s: float = 10.0
    """From SIGTERM to SIGKILL."""
    drain_timeout_s: float = 120.0
    """How long an instance may finish requests before it is stopped."""
    deleted_retention_s: float = 3600.0
    """How long a deleted service stays describable."""
    service_quota: int = 30
    """Services at a time, those that failed to be created included (App Runner: 30)."""
    log_retention_days: float = 14.0
    keep_versions: int = 10
    """Built versions kept per service for a rollback."""
    upper_case_statuses: bool = False
    """Statuses of auto scaling configurations and custom domains as the API's model spells them, instead of as App
    Runner sends them and Terraform and Copilot compare them."""
