"""Where everything lives under one data folder. Paths only; nothing here touches the disk."""

import hashlib
import os
import tempfile
from pathlib import Path

from engine.model.base import Value

_SOCKET_PATH_MAX = 100  # sun_path holds 108 bytes on Linux, 104 on macOS


class Home(Value, frozen=True, kw_only=True):
    """A Homerun data folder. Folders are 0700, files with secrets and sockets 0600."""

    path: Path

    @property
    def lock(self) -> Path:
        """Held (flock) by the one engine that owns this home."""
        return self.path / "engine.lock"

    @property
    def state_db(self) -> Path:
        return self.path / "state.db"

    @property
    def telemetry_db(self) -> Path:
        return self.path / "telemetry.db"

    @property
    def engine_log(self) -> Path:
        return self.path / "logs" / "engine.log"

    @property
    def screen_log(self) -> Path:
        """Of screens that are attached to an engine elsewhere."""
        return self.path / "logs" / "screen.log"

    @property
    def edge_log(self) -> Path:
        return self.path / "logs" / "edge.log"

    @property
    def engine_record(self) -> Path:
        """The ready line of the engine that owns this home: urls, socket, pid."""
        return self.path / "engine.json"

    @property
    def edge_record(self) -> Path:
        """Pid, start time and address of the running edge."""
        return self.path / "edge.json"

    @property
    def credentials(self) -> Path:
        return self.path / "keys" / "credentials.json"

    @property
    def secrets_key(self) -> Path:
        """What secrets in the database are sealed with."""
        return self.path / "keys" / "secrets.key"

    @property
    def audit_db(self) -> Path:
        return self.path / "audit.db"

    @property
    def settings(self) -> Path:
        return self.path / "settings.yaml"

    @property
    def mirrors(self) -> Path:
        return self.path / "mirrors"

    @property
    def artifacts(self) -> Path:
        return self.path / "artifacts"

    @property
    def instances(self) -> Path:
        return self.path / "instances"

    @property
    def cache(self) -> Path:
        return self.path / "cache"

    def staging(self, version_id: str) -> Path:
        """Where a version's source lies while it is fetched; on the artifacts' file system, so it can be moved."""
        return self.artifacts / "staging" / version_id

    def artifact(self, service_id: str, version_id: str) -> Path:
        return self.artifacts / service_id / version_id

    def instance(self, instance_id: str) -> Path:
        """Holds `app/` (the working copy), `output.log` and `exit.json`."""
        return self.instances / instance_id

    def instance_output(self, instance_id: str) -> Path:
        return self.instance(instance_id) / "output.log"

    @property
    def sockets(self) -> Path:
        """The folder for Unix sockets: inside the home, or a private short one where the path would be too long."""
        inside = self.path / "run"
        if len(os.fsencode(inside / "engine.sock")) <= _SOCKET_PATH_MAX:
            return inside
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"homerun-{os.getuid()}" / digest

    @property
    def engine_socket(self) -> Path:
        return self.sockets / "engine.sock"

    @property
    def edge_socket(self) -> Path:
        return self.sockets / "edge.sock"
