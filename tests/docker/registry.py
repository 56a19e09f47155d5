"""A real registry on loopback, and images for it that need no build."""

import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import docker

PROGRAM = shutil.which("docker-registry") or "/usr/bin/docker-registry"
_CONFIG = """\
version: 0.1
log: {level: error}
storage:
  filesystem: {rootdirectory: FOLDER/data}
  delete: {enabled: true}
http:
  addr: 127.0.0.1:PORT
  secret: for-tests
"""


class Registry:
    """One process; `stop` and `start` keep its contents and its port."""

    def __init__(self, folder: Path, users: str = "") -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self._file = folder / "registry.yml"
        config = _CONFIG.replace("FOLDER", str(folder)).replace("PORT", self.address.rpartition(":")[2])
        if users:
            (folder / "users").write_text(users)
            config += f"auth:\n  htpasswd: {{realm: tests, path: {folder}/users}}\n"
        self._file.write_text(config)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [PROGRAM, "serve", self._file],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"},
        )
        deadline = time.monotonic() + 20
        while True:
            try:
                urllib.request.urlopen(f"http://{self.address}/v2/", timeout=2).close()
            except urllib.error.HTTPError as error:
                error.close()
                return
            except OSError:
                assert time.monotonic() < deadline, "the registry did not start"
                assert self._process.poll() is None, "the registry ended"
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait()
            self._process = None


def pushed(client: docker.DockerClient, image: str, name: str, credentials: dict[str, str] | None = None) -> str:
    """Push a local image under a name in a registry; its digest there. The name on this machine is as it was before."""
    repository, _, tag = name.rpartition(":")
    before = [known for known in client.images.list(repository) if name in known.tags]
    client.images.get(image).tag(repository, tag)
    digest = ""
    try:
        for message in client.images.push(repository, tag, stream=True, decode=True, auth_config=credentials):
            assert "error" not in message, message
            digest = message.get("aux", {}).get("Digest", digest)
    finally:
        for known in before:
            known.tag(repository, tag)
        if not before:
            client.images.remove(name)
    for known in client.images.get(image).attrs["RepoDigests"]:
        if known == f"{repository}@{digest}":
            client.images.remove(known)
    return digest


def remove_images_of(client: docker.DockerClient, address: str) -> None:
    """Everything on this machine that came from a registry."""
    for image in client.api.images():
        names = (*(image["RepoTags"] or ()), *(image["RepoDigests"] or ()))
        if any(name.startswith(f"{address}/") for name in names):
            client.images.remove(image["Id"], force=True)


def with_config(client: docker.DockerClient, image: str, name: str, change: Callable[[dict], None]) -> str:
    """Another image whose configuration was changed in a way that no engine offers; its id."""
    saved = io.BytesIO(b"".join(client.images.get(image).save()))
    changed = io.BytesIO()
    with tarfile.open(fileobj=saved) as old, tarfile.open(fileobj=changed, mode="w") as new:
        manifest = json.load(old.extractfile("manifest.json"))
        (entry,) = manifest
        config = json.load(old.extractfile(entry["Config"]))
        change(config)
        data = json.dumps(config).encode()
        entry["RepoTags"] = [name]
        old_name, entry["Config"] = entry["Config"], f"{hashlib.sha256(data).hexdigest()}.json"
        texts = {"manifest.json": json.dumps(manifest).encode(), entry["Config"]: data}
        for member in old.getmembers():
            if member.name not in {"manifest.json", "repositories", old_name}:
                new.addfile(member, old.extractfile(member) if member.isfile() else None)
        for path, text in texts.items():
            info = tarfile.TarInfo(path)
            info.size = len(text)
            new.addfile(info, io.BytesIO(text))
    client.images.load(changed.getvalue())
    return str(client.images.get(name).id)
