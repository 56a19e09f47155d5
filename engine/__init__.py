"""The engine: everything Homerun does, without a screen.

Rooms from the top down: api, engine.py, lifecycle, scaling, telemetry, compute, build, source, store, edge, model.
"""

__version__ = "0.1.0"
