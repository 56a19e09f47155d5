"""Fails to start, so that the screen can show how a failure looks."""

import os
import sys

print("reading configuration", flush=True)
if "DATABASE_URL" not in os.environ:
    print("FATAL: DATABASE_URL is not set; this service cannot start without its database", file=sys.stderr, flush=True)
    sys.exit(3)
