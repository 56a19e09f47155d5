"""Logs and metrics: collect, store, query, subscribe."""
