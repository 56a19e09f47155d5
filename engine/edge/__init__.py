"""The data plane, a process of its own: knows routes and sockets, nothing above it."""
