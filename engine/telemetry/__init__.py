"""Telemetry: logs, metrics and samples; collect, store, query, subscribe."""

from engine.telemetry.telemetry import Telemetry

__all__ = ["Telemetry"]
