"""What tests say often: a source, a call that must be refused, something that comes true soon."""

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.conformance.generate import NOWHERE

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from botocore.exceptions import ClientError

T = TypeVar("T")

INVALID_REQUEST = "InvalidRequestException"
INVALID_STATE = "InvalidStateException"
NOT_FOUND = "ResourceNotFoundException"
QUOTA_EXCEEDED = "ServiceQuotaExceededException"


def source(repository: str | Path = NOWHERE, branch: str = "main") -> dict[str, Any]:
    """A SourceConfiguration."""
    version = {"Type": "BRANCH", "Value": branch}
    code = {"RepositoryUrl": str(repository), "SourceCodeVersion": version}
    return {"CodeRepository": code, "AutoDeploymentsEnabled": False}


def image(kind: str = "ECR_PUBLIC", **more: Any) -> dict[str, Any]:
    """A SourceConfiguration."""
    identifier = {
        "ECR_PUBLIC": "public.ecr.aws/aws-containers/hello-app-runner:latest",
        "ECR": "000000000000.dkr.ecr.us-east-1.amazonaws.com/web:1",
    }[kind]
    return {"ImageRepository": {"ImageIdentifier": identifier, "ImageRepositoryType": kind}, **more}


def refused(call: Callable[..., object], **arguments: Any) -> tuple[str, str]:
    """The type and the text of the error that the call ends in."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def code_of(call: Callable[..., object], **arguments: Any) -> str:
    return refused(call, **arguments)[0]


def within(check: Callable[[], T], timeout_s: float = 5.0) -> T:
    """What `check` gives once it gives something."""
    deadline = time.monotonic() + timeout_s
    while not (found := check()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)
    return found
