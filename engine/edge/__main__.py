"""The edge as a process: `python -m engine.edge --listen HOST:PORT --control SOCKET --record FILE`."""

import sys

from engine.edge.process import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
