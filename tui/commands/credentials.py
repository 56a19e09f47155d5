"""`homerun credentials`: the keys that sign calls to the API, for `credential_process` in ~/.aws/config."""

import asyncio
import sys

from engine.api.ask import ask
from engine.api.credentials import credential_process_json, load_or_create, rotate
from engine.model.errors import HomerunError
from engine.model.home import Home


def run(home: Home, *, new: bool = False) -> int:
    if new:
        rotate(home)
        if asyncio.run(ask(home, "/credentials/reload")) not in (None, 202):
            raise HomerunError(
                "There are new keys, but the engine that runs did not take them up: `homerun stop` and start it again."
            )
        print(
            "The old keys sign nothing any more: start running programs again, so that they ask for the new ones.",
            file=sys.stderr,
        )
    print(credential_process_json(load_or_create(home)))
    return 0
