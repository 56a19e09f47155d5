"""How far a pull is, from the engine's messages about layers. Pure."""

from typing import Any

from engine.model.watch import Progress

_MEGABYTE = 1_000_000
_DONE = ("Pull complete", "Already exists", "Download complete", "Extracting", "Verifying Checksum")


class PullProgress:
    """Takes messages in; says how many bytes and layers of how many are there."""

    def __init__(self) -> None:
        self._layers: dict[str, tuple[int, int, str]] = {}
        """Layer to bytes there, bytes in all (0 while unknown) and its last status."""

    def take(self, message: dict[str, Any]) -> None:
        layer, status = str(message.get("id") or ""), str(message.get("status") or "")
        if not layer or status.startswith(("Pulling from", "Digest", "Status")):
            return
        done, total, _ = self._layers.get(layer, (0, 0, ""))
        detail = message.get("progressDetail") or {}
        if status == "Downloading":
            done, total = int(detail.get("current") or done), max(total, int(detail.get("total") or 0))
        elif status.startswith(_DONE):
            done = total
        self._layers[layer] = (done, total, status)

    @property
    def layers(self) -> tuple[int, int]:
        """Layers that are all there, and layers in all."""
        there = sum(status.startswith(("Pull complete", "Already exists")) for _, _, status in self._layers.values())
        return there, len(self._layers)

    @property
    def now(self) -> Progress:
        done = sum(done for done, _, _ in self._layers.values())
        total = sum(total for _, total, _ in self._layers.values())
        there, layers = self.layers
        amount = f"{done / _MEGABYTE:.1f} of {total / _MEGABYTE:.1f} MB, " if total else ""
        return Progress(done=done, total=total, text=f"{amount}{there} of {layers} layers")
