"""`homerun credentials`: for `credential_process` in ~/.aws/config."""

from engine.api.credentials import credential_process_json, load_or_create
from engine.model.home import Home


def run(home: Home) -> int:
    print(credential_process_json(load_or_create(home)))
    return 0
