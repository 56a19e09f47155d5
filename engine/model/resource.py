"""What an account has besides services, as the store keeps it: configurations, connections, domains, VPC things."""

from engine.model.actions.connection import ConnectionStatus, ProviderType
from engine.model.actions.custom_domain import ValidationName
from engine.model.actions.observability import TracingVendor
from engine.model.base import Value
from engine.model.ids import DEFAULT_CONFIGURATION_NAME, FIRST_CONFIGURATION_ID, resource_arn


class AutoScalingRecord(Value, frozen=True, kw_only=True):
    """One revision of an auto scaling configuration; App Runner's defaults. Times are seconds since the epoch."""

    id: str
    arn: str
    name: str
    revision: int
    max_concurrency: int = 100
    min_size: int = 1
    max_size: int = 25
    is_default: bool = False
    """Services that name none get it. Exactly one revision of the account is."""
    tags: dict[str, str] = {}
    created_at: float = 0.0
    deleted_at: float | None = None
    """Deleted ones stay describable for a while."""


class ObservabilityRecord(Value, frozen=True, kw_only=True):
    """One revision of an observability configuration."""

    id: str
    arn: str
    name: str
    revision: int
    vendor: TracingVendor | None = None
    """None traces nothing."""
    tags: dict[str, str] = {}
    created_at: float = 0.0
    deleted_at: float | None = None


class ConnectionRecord(Value, frozen=True, kw_only=True):
    """A connection to a provider of source code. What proves who we are there is a SecretRecord of the same id."""

    id: str
    arn: str
    name: str
    provider_type: ProviderType
    status: ConnectionStatus
    tags: dict[str, str] = {}
    created_at: float


class SecretRecord(Value, frozen=True, kw_only=True):
    """Something secret, sealed with the home's key."""

    id: str
    sealed: str
    created_at: float

    def __repr__(self) -> str:
        return f"SecretRecord(id={self.id!r}, …)"


class CustomDomainRecord(Value, frozen=True, kw_only=True):
    """A domain of a service."""

    id: str
    service_id: str
    domain_name: str
    """As it was written, which clients compare; case does not make it another domain."""
    www: bool
    """The www subdomain belongs to it."""
    validation: tuple[ValidationName, ...]
    created_at: float


class VpcConnectorRecord(Value, frozen=True, kw_only=True):
    id: str
    arn: str
    name: str
    revision: int
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    tags: dict[str, str] = {}
    created_at: float
    deleted_at: float | None = None


class VpcIngressRecord(Value, frozen=True, kw_only=True):
    id: str
    arn: str
    name: str
    target_arn: str
    """Of the service."""
    vpc_id: str
    vpc_endpoint_id: str
    domain_name: str
    tags: dict[str, str] = {}
    created_at: float
    updated_at: float
    deleted_at: float | None = None


Resource = (
    AutoScalingRecord
    | ObservabilityRecord
    | ConnectionRecord
    | SecretRecord
    | CustomDomainRecord
    | VpcConnectorRecord
    | VpcIngressRecord
)


def first_auto_scaling(region: str, created_at: float = 0.0) -> AutoScalingRecord:
    """DefaultConfiguration, revision 1, which every account begins with."""
    return AutoScalingRecord(
        id=FIRST_CONFIGURATION_ID,
        arn=resource_arn(region, "autoscalingconfiguration", DEFAULT_CONFIGURATION_NAME, 1, FIRST_CONFIGURATION_ID),
        name=DEFAULT_CONFIGURATION_NAME,
        revision=1,
        is_default=True,
        created_at=created_at,
    )


def first_observability(region: str, created_at: float = 0.0) -> ObservabilityRecord:
    """DefaultConfiguration, revision 1: X-Ray on. Its name stays reserved."""
    return ObservabilityRecord(
        id=FIRST_CONFIGURATION_ID,
        arn=resource_arn(region, "observabilityconfiguration", DEFAULT_CONFIGURATION_NAME, 1, FIRST_CONFIGURATION_ID),
        name=DEFAULT_CONFIGURATION_NAME,
        revision=1,
        vendor=TracingVendor.AWSXRAY,
        created_at=created_at,
    )
