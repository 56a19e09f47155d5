"""How fast instances that keep dying are started again."""


def back_off_s(failures: int) -> float:
    """Seconds to wait after so many failures in a row: 1, 2, 4 … at most a minute."""
    return min(60.0, 2.0 ** (failures - 1)) if failures else 0.0


class Pacing:
    """Failed starts in a row and when the next one is due."""

    def __init__(self) -> None:
        self.failed_starts = 0
        self.may_start_at = 0.0

    def failed(self, now: float) -> None:
        self.failed_starts += 1
        self.may_start_at = now + back_off_s(self.failed_starts)

    def reset(self) -> None:
        """An instance got healthy, or somebody wants it tried anew."""
        self.failed_starts = 0
        self.may_start_at = 0.0
