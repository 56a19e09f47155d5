"""The front door for programs: AWS JSON over HTTP, signatures, and the socket that screens attach to."""
