"""What is on disk about an instance: its folder, the record to find it again, and how it ended."""

import re
import signal
from pathlib import Path

import msgspec

from engine.compute.process.tree import Identity
from engine.model.base import Value
from engine.model.instance import Address, Exit, ProcessHandle

_EXIT = re.compile(rb"\s*(\d{1,3})\s*")
EXIT_SIZE = 64
"""`exit.json` is written in full at the start, so that the supervisor can fill it in on a full disk."""


class InstanceRecord(Value, frozen=True, kw_only=True):
    """`instance.json` in the instance's folder. Without `process` the start was interrupted."""

    instance_id: str
    service_id: str
    cpu_units: int
    memory_mb: int
    address: Address
    process: Identity | None = None
    started_at: float = 0.0

    def handle(self) -> ProcessHandle:
        assert self.process is not None, "a started instance has a process"  # noqa: S101 - for the type checker
        return ProcessHandle(pid=self.process.pid, started_at=self.started_at, boot_id=self.process.boot_id)


class InstanceFolder(Value, frozen=True, kw_only=True):
    """The folder of one instance."""

    root: Path

    @property
    def app(self) -> Path:
        return self.root / "app"

    @property
    def venv(self) -> Path:
        """Only where the version's own cannot be shared."""
        return self.root / "venv"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def output(self) -> Path:
        return self.root / "output.log"

    @property
    def exit(self) -> Path:
        return self.root / "exit.json"

    @property
    def stopping(self) -> Path:
        """There once Homerun has decided to stop it."""
        return self.root / "stopping"

    @property
    def record(self) -> Path:
        return self.root / "instance.json"

    def read_record(self) -> InstanceRecord | None:
        try:
            return msgspec.json.decode(self.record.read_bytes(), type=InstanceRecord)
        except (OSError, msgspec.MsgspecError):
            return None

    def read_exit(self, *, killed: bool, now: float) -> Exit:
        """How it ended, as its supervisor wrote it; `killed` says that everything was killed by us."""
        try:
            match = _EXIT.fullmatch(self.exit.read_bytes())
            at = self.exit.stat().st_mtime
        except OSError:
            match, at = None, now
        expected = self.stopping.exists()
        if match is None:
            return Exit(signal=signal.SIGKILL if killed else None, at=now, expected=expected)
        code = int(match.group(1))
        # A shell reports a death by signal n as 128 + n.
        if code > 128 and code - 128 in signal.valid_signals():
            return Exit(signal=code - 128, at=at, expected=expected)
        return Exit(code=code, at=at, expected=expected)
