"""Widgets that know nothing of services: a table, a log view, a chart."""
