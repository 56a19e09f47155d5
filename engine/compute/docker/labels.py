"""What Homerun writes on everything that it makes in a container engine; nothing without it is ever touched. Pure."""

import hashlib
import re

from engine.model.base import Value
from engine.model.home import Home

HOME = "homerun.home"
SERVICE = "homerun.service"
VERSION = "homerun.version"
INSTANCE = "homerun.instance"
CPU = "homerun.cpu"
MEMORY = "homerun.memory"


class Names(Value, frozen=True):
    """The names of one home's things. One engine may serve several homes."""

    home: str
    """Twelve characters that stand for the home's path."""

    @property
    def label(self) -> str:
        """What the engine's filters take."""
        return f"{HOME}={self.home}"

    @property
    def network(self) -> str:
        return f"homerun-{self.home}"

    def container(self, service_name: str, instance_id: str) -> str:
        return f"homerun-{_word(service_name)}-{instance_id[:12]}"

    def image(self, service_name: str, service_id: str, number: int) -> str:
        """A tag of our own on a version's image: nobody else moves it, and no pruning of untagged images takes it."""
        return f"{self.images}{_word(service_name)}-{service_id[:8]}:v{number}"

    @property
    def images(self) -> str:
        """How all of this home's image names begin."""
        return f"homerun-{self.home}/"

    def brought(self, image_id: str) -> str:
        """A second tag on an image that Homerun itself brought to this machine, and so may remove again."""
        return f"{self.images}pulled:{image_id.removeprefix('sha256:')[:32]}"


def names_of(home: Home) -> Names:
    return Names(hashlib.sha256(str(home.path).encode()).hexdigest()[:12])


def _word(name: str) -> str:
    """A service's name as the names of images and containers may spell it."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "service"
