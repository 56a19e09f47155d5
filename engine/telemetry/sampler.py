"""The sampler: looks at every instance once a second, on the second."""

import logging
from collections.abc import Callable, Collection

from engine.model.clock import Clock
from engine.model.instance import Instance
from engine.model.metric import InstanceSample
from engine.telemetry.metrics import Metrics
from engine.telemetry.thread import in_thread

ComputeSample = Callable[[Collection[Instance], float], tuple[InstanceSample, ...]]
"""Compute.sample: called in a thread with the instances and the time."""

_log = logging.getLogger(__name__)


async def sample_for_ever(
    metrics: Metrics, clock: Clock, compute_sample: ComputeSample, instances: Callable[[], Collection[Instance]]
) -> None:
    """Each round begins right after a full second; one that takes longer skips those it missed."""
    said = False
    while True:
        next_at = int(clock.now()) + 1
        while (left := next_at - clock.now()) > 0 and left <= 1:  # again where the clock was set or woke us early
            await clock.sleep(left)
        now = clock.now()
        metrics.beat(now)
        wanted = tuple(instances())
        if not wanted:
            continue
        try:
            metrics.record_instances(await in_thread(compute_sample, wanted, now))
            said = False
        except Exception:  # noqa: BLE001 - the next second may go better
            if not said:
                said = True
                _log.exception("CPU and memory of the instances could not be read")
