"""App Runner keeps the source in /app; here every version and every instance has a folder of its own."""

from collections.abc import Mapping
from pathlib import Path

from engine.build.command import relocate_app, relocate_command, relocate_env


class Relocation:
    """Rewrites `/app` in commands and values to one folder, and remembers that it had to."""

    def __init__(self, app: Path) -> None:
        self._app = str(app)
        self._changed = False

    def command(self, text: str) -> str:
        """Shell text."""
        return self._noted(text, relocate_command(text, self._app))

    def argument(self, text: str) -> str:
        return self._noted(text, relocate_app(text, self._app))

    def env(self, env: Mapping[str, str]) -> dict[str, str]:
        relocated = relocate_env(env, self._app)
        self._changed = self._changed or relocated != dict(env)
        return relocated

    def take_news(self) -> bool:
        """Whether something was rewritten, True once."""
        changed, self._changed = self._changed, False
        return changed

    def _noted(self, old: str, new: str) -> str:
        self._changed = self._changed or old != new
        return new
