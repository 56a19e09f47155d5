"""What a newer Node.js needs to run code that was written for one before 17.

Node.js 17 came with OpenSSL 3, which no longer offers MD4, and the bundlers of that time (webpack 4, so Create React
App 4 and Next.js 11) hash with it: their builds die of ERR_OSSL_EVP_UNSUPPORTED.
"""

import os
import subprocess

from engine.compute.process.choose import Interpreter, parse_version
from engine.model.plan import Runtime, RuntimeFamily

OLDER_HASHES = "--openssl-legacy-provider"
_SINCE = 17
_TIMEOUT_S = 10.0


def needs_older_hashes(runtime: Runtime, interpreter: Interpreter) -> bool:
    """Whether a Node.js from 17 on stands in for one that the runtime asks for and that is older."""
    if runtime.family is not RuntimeFamily.NODEJS:
        return False
    asked = (parse_version(runtime.locked) or parse_version(runtime.accepts[0]))[:1]
    return asked < (_SINCE,) <= parse_version(interpreter.version)


def allows_older_hashes(interpreter: Interpreter) -> bool:
    """Whether this Node.js starts with the option; one linked with another OpenSSL may refuse it. Blocks."""
    try:
        ended = subprocess.run(
            [interpreter.executable, "-e", "0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.defpath, "NODE_OPTIONS": OLDER_HASHES},
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return ended.returncode == 0
