"""Identifiers and ARNs in App Runner's forms."""

import re
import secrets
import string
import uuid

ACCOUNT_ID = "000000000000"
DEFAULT_REGION = "us-east-1"
PARTITION = "aws"
DEFAULT_AUTO_SCALING_NAME = "DefaultConfiguration"

_DOMAIN_ALPHABET = string.ascii_lowercase + string.digits
_SERVICE_ARN = re.compile(r"arn:aws(?:-\w+)*:apprunner:[a-z0-9-]*:\d{12}:service/([A-Za-z0-9_-]{4,40})/([0-9a-f]{32})")


def new_id() -> str:
    """32 lower-case hex characters: services, versions, instances."""
    return uuid.uuid4().hex


def new_operation_id() -> str:
    """A dashed UUID, as App Runner's operation ids are."""
    return str(uuid.uuid4())


def hex_of(operation_id: str) -> str:
    """The deployment id in log stream names: the operation id without dashes."""
    return operation_id.replace("-", "")


def new_subdomain() -> str:
    """Ten characters of [a-z0-9], not derived from the service's name."""
    return "".join(secrets.choice(_DOMAIN_ALPHABET) for _ in range(10))


def service_arn(region: str, name: str, service_id: str) -> str:
    return f"arn:{PARTITION}:apprunner:{region}:{ACCOUNT_ID}:service/{name}/{service_id}"


def service_id_of(arn: str) -> str | None:
    """The service id in a service's ARN, or None where the ARN is of another form."""
    match = _SERVICE_ARN.fullmatch(arn)
    return match.group(2) if match else None


def auto_scaling_arn(region: str, name: str, revision: int, config_id: str) -> str:
    return f"arn:{PARTITION}:apprunner:{region}:{ACCOUNT_ID}:autoscalingconfiguration/{name}/{revision}/{config_id}"


def default_auto_scaling_arn(region: str) -> str:
    """The built-in DefaultConfiguration, revision 1."""
    return auto_scaling_arn(region, DEFAULT_AUTO_SCALING_NAME, 1, f"{1:032d}")
