"""A service as the App Runner API speaks of it: shapes, limits and patterns of the API model 2020-05-15."""

from enum import StrEnum
from typing import Annotated

import msgspec

from engine.model.base import Wire

Limit = msgspec.Meta

ServiceName = Annotated[str, Limit(pattern=r"\A[A-Za-z0-9][A-Za-z0-9\-_]{3,39}\Z", min_length=4, max_length=40)]
Arn = Annotated[
    str,
    Limit(
        pattern=r"\Aarn:aws(-[A-Za-z0-9_]+)*:[a-z0-9\-\\.]{0,63}:[a-z0-9\-\\.]{0,63}:[0-9]{12}:[A-Za-z0-9_/\-]{1,1011}\Z",
        min_length=1,
        max_length=1011,
    ),
]
RoleArn = Annotated[
    str,
    Limit(
        pattern=r"\Aarn:(aws|aws-us-gov|aws-cn|aws-iso|aws-iso-b):iam::[0-9]{12}:(role|role/service-role)/[A-Za-z0-9_+=,.@\-/]{1,1000}\Z",
        min_length=29,
        max_length=1024,
    ),
]
ResourceName = Annotated[str, Limit(pattern=r"\A[A-Za-z0-9][A-Za-z0-9\-_]{3,31}\Z", min_length=4, max_length=32)]
"""Of connections, auto scaling and observability configurations."""
Text = Annotated[str, Limit(max_length=51200)]
OneLine = Annotated[str, Limit(pattern=r"\A[^\x0a\x0d]+\Z")]
EnvKey = Annotated[str, Limit(min_length=1, max_length=51200)]
EnvValue = Annotated[str, Limit(min_length=0, max_length=51200)]
SecretName = Annotated[str, Limit(min_length=1, max_length=2048)]
SecretRef = Annotated[str, Limit(min_length=1, max_length=2048)]
CheckNumber = Annotated[int, Limit(ge=1, le=20)]
Cpu = Annotated[str, Limit(pattern=r"\A(256|512|1024|2048|4096|(0\.25|0\.5|1|2|4) vCPU)\Z")]
Memory = Annotated[
    str, Limit(pattern=r"\A(512|1024|2048|3072|4096|6144|8192|10240|12288|(0\.5|1|2|3|4|6|8|10|12) GB)\Z")
]


class ServiceStatus(StrEnum):
    CREATE_FAILED = "CREATE_FAILED"
    RUNNING = "RUNNING"
    DELETED = "DELETED"
    DELETE_FAILED = "DELETE_FAILED"
    PAUSED = "PAUSED"
    OPERATION_IN_PROGRESS = "OPERATION_IN_PROGRESS"


class SourceCodeVersionType(StrEnum):
    BRANCH = "BRANCH"


class ConfigurationSource(StrEnum):
    REPOSITORY = "REPOSITORY"
    API = "API"


class ApiRuntime(StrEnum):
    """The API's spelling of the managed runtimes; the file's spelling is in engine.build.runtimes."""

    PYTHON_3 = "PYTHON_3"
    NODEJS_12 = "NODEJS_12"
    NODEJS_14 = "NODEJS_14"
    CORRETTO_8 = "CORRETTO_8"
    CORRETTO_11 = "CORRETTO_11"
    NODEJS_16 = "NODEJS_16"
    GO_1 = "GO_1"
    DOTNET_6 = "DOTNET_6"
    PHP_81 = "PHP_81"
    RUBY_31 = "RUBY_31"
    PYTHON_311 = "PYTHON_311"
    NODEJS_18 = "NODEJS_18"
    NODEJS_22 = "NODEJS_22"
    DOCKER = "DOCKER"
    """Our own, beyond the API: a Dockerfile in the source directory."""


class ImageRepositoryType(StrEnum):
    ECR = "ECR"
    ECR_PUBLIC = "ECR_PUBLIC"


class HealthCheckProtocol(StrEnum):
    TCP = "TCP"
    HTTP = "HTTP"


class EgressType(StrEnum):
    DEFAULT = "DEFAULT"
    VPC = "VPC"


class IpAddressType(StrEnum):
    IPV4 = "IPV4"
    DUAL_STACK = "DUAL_STACK"


class SourceCodeVersion(Wire, frozen=True, kw_only=True):
    type: SourceCodeVersionType
    value: Text


class CodeConfigurationValues(Wire, frozen=True, kw_only=True):
    runtime: ApiRuntime
    build_command: OneLine | None = None
    start_command: OneLine | None = None
    port: Text | None = None
    runtime_environment_variables: dict[EnvKey, EnvValue] | None = None
    runtime_environment_secrets: dict[SecretName, SecretRef] | None = None

    def __repr__(self) -> str:
        # The API marks commands and environment as sensitive.
        return f"CodeConfigurationValues(runtime={self.runtime.value!r}, …)"


class CodeConfiguration(Wire, frozen=True, kw_only=True):
    configuration_source: ConfigurationSource
    code_configuration_values: CodeConfigurationValues | None = None


class CodeRepository(Wire, frozen=True, kw_only=True):
    repository_url: Annotated[str, Limit(max_length=51200)]
    source_code_version: SourceCodeVersion
    code_configuration: CodeConfiguration | None = None
    source_directory: Annotated[str, Limit(pattern=r"\A[^\x00]+\Z", min_length=1, max_length=4096)] | None = None


class ImageConfiguration(Wire, frozen=True, kw_only=True):
    runtime_environment_variables: dict[EnvKey, EnvValue] | None = None
    start_command: OneLine | None = None
    port: Text | None = None
    runtime_environment_secrets: dict[SecretName, SecretRef] | None = None

    def __repr__(self) -> str:
        return "ImageConfiguration(…)"


class ImageRepository(Wire, frozen=True, kw_only=True):
    image_identifier: Annotated[str, Limit(min_length=1, max_length=1024)]
    image_repository_type: ImageRepositoryType
    image_configuration: ImageConfiguration | None = None


class AuthenticationConfiguration(Wire, frozen=True, kw_only=True):
    connection_arn: Arn | None = None
    access_role_arn: RoleArn | None = None


class SourceConfiguration(Wire, frozen=True, kw_only=True):
    code_repository: CodeRepository | None = None
    image_repository: ImageRepository | None = None
    auto_deployments_enabled: bool | None = None
    authentication_configuration: AuthenticationConfiguration | None = None


class InstanceConfiguration(Wire, frozen=True, kw_only=True):
    cpu: Cpu | None = None
    memory: Memory | None = None
    instance_role_arn: RoleArn | None = None


class HealthCheckConfiguration(Wire, frozen=True, kw_only=True):
    protocol: HealthCheckProtocol | None = None
    path: Annotated[str, Limit(min_length=1)] | None = None
    interval: CheckNumber | None = None
    timeout: CheckNumber | None = None
    healthy_threshold: CheckNumber | None = None
    unhealthy_threshold: CheckNumber | None = None


class EgressConfiguration(Wire, frozen=True, kw_only=True):
    egress_type: EgressType | None = None
    vpc_connector_arn: Arn | None = None


class IngressConfiguration(Wire, frozen=True, kw_only=True):
    is_publicly_accessible: bool | None = None


class NetworkConfiguration(Wire, frozen=True, kw_only=True):
    egress_configuration: EgressConfiguration | None = None
    ingress_configuration: IngressConfiguration | None = None
    ip_address_type: IpAddressType | None = None


class ServiceObservabilityConfiguration(Wire, frozen=True, kw_only=True):
    observability_enabled: bool
    observability_configuration_arn: Arn | None = None


class EncryptionConfiguration(Wire, frozen=True, kw_only=True):
    kms_key: Annotated[
        str,
        Limit(
            pattern=r"\Aarn:aws(-[A-Za-z0-9_]+)*:kms:[a-z\-]+-[0-9]{1}:[0-9]{12}:key/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z",
            max_length=256,
        ),
    ]


TagKey = Annotated[str, Limit(pattern=r"\A(?!aws:).+\Z", min_length=1, max_length=128)]


class Tag(Wire, frozen=True, kw_only=True):
    key: TagKey | None = None
    value: Annotated[str, Limit(max_length=256)] | None = None


class AutoScalingConfigurationSummary(Wire, frozen=True, kw_only=True):
    auto_scaling_configuration_arn: str | None = None
    auto_scaling_configuration_name: str | None = None
    auto_scaling_configuration_revision: int | None = None
    status: str | None = None
    """Lower case on the wire, as the clients compare it, though the model's enum is upper case."""
    created_at: float | None = None
    has_associated_service: bool | None = None
    is_default: bool | None = None


class Service(Wire, frozen=True, kw_only=True):
    """What DescribeService answers. Times are seconds since the epoch; `service_url` is `host[:port]`."""

    service_name: str
    service_id: str
    service_arn: str
    service_url: str | None = None
    created_at: float
    updated_at: float
    deleted_at: float | None = None
    status: ServiceStatus
    source_configuration: SourceConfiguration
    instance_configuration: InstanceConfiguration
    encryption_configuration: EncryptionConfiguration | None = None
    health_check_configuration: HealthCheckConfiguration | None = None
    auto_scaling_configuration_summary: AutoScalingConfigurationSummary
    network_configuration: NetworkConfiguration
    observability_configuration: ServiceObservabilityConfiguration | None = None


class ServiceSummary(Wire, frozen=True, kw_only=True):
    service_name: str
    service_id: str
    service_arn: str
    service_url: str | None = None
    created_at: float
    updated_at: float
    status: ServiceStatus
