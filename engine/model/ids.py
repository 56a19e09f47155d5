"""Identifiers and ARNs in App Runner's forms."""

import random
import re
import secrets
import string
import uuid

ACCOUNT_ID = "000000000000"
DEFAULT_REGION = "us-east-1"
PARTITION = "aws"
DEFAULT_CONFIGURATION_NAME = "DefaultConfiguration"
"""Of auto scaling and of observability configurations."""
FIRST_CONFIGURATION_ID = f"{1:032d}"

_DOMAIN_ALPHABET = string.ascii_lowercase + string.digits
_SERVICE_ARN = re.compile(r"arn:aws(?:-\w+)*:apprunner:[a-z0-9-]*:\d{12}:service/([A-Za-z0-9_-]{4,40})/([0-9a-f]{32})")


def new_id() -> str:
    """32 lower-case hex characters: services, versions, instances."""
    return uuid.uuid4().hex


def new_operation_id() -> str:
    """A dashed UUID, as App Runner's operation ids are."""
    return str(uuid.uuid4())


def new_call_id() -> str:
    """A dashed UUID for a call or its record: it need only be unique, and is made thousands of times a second."""
    digits = f"{random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def hex_of(operation_id: str) -> str:
    """The deployment id in log stream names: the operation id without dashes."""
    return operation_id.replace("-", "")


def new_label(length: int = 10) -> str:
    """Random characters of [a-z0-9]: a default domain begins with ten that say nothing of the service's name."""
    return "".join(secrets.choice(_DOMAIN_ALPHABET) for _ in range(length))


def service_arn(region: str, name: str, service_id: str) -> str:
    return resource_arn(region, "service", name, service_id)


def service_id_of(arn: str) -> str | None:
    """The service id in a service's ARN, or None where the ARN is of another form."""
    match = _SERVICE_ARN.fullmatch(arn)
    return match.group(2) if match else None


def resource_arn(region: str, *path: str | int) -> str:
    """The ARN of anything: `resource_arn(region, "connection", name, id)`."""
    return f"arn:{PARTITION}:apprunner:{region}:{ACCOUNT_ID}:{'/'.join(map(str, path))}"
