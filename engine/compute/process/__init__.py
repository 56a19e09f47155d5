"""Builds and instances as plain processes of this machine."""

from engine.compute.process.compute import ProcessCompute

__all__ = ["ProcessCompute"]
