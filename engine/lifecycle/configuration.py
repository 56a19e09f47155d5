"""A service's configuration: defaults filled in, updates merged as App Runner merges them. Pure."""

from msgspec.structs import replace

from engine.model.actions.service import CreateServiceRequest, UpdateServiceRequest
from engine.model.errors import invalid_request
from engine.model.service import (
    CodeRepository,
    ConfigurationSource,
    EgressConfiguration,
    EgressType,
    HealthCheckConfiguration,
    HealthCheckProtocol,
    ImageConfiguration,
    ImageRepository,
    ImageRepositoryType,
    IngressConfiguration,
    InstanceConfiguration,
    IpAddressType,
    NetworkConfiguration,
    SourceConfiguration,
)
from engine.model.version import ServiceConfig

_UNITS = {"0.25": "256", "0.5": "512", "1": "1024", "2": "2048", "4": "4096"}
VALID_SIZES: dict[str, tuple[str, ...]] = {
    "256": ("512", "1024"),
    "512": ("1024",),
    "1024": ("2048", "3072", "4096"),
    "2048": ("4096", "6144"),
    "4096": ("8192", "10240", "12288"),
}
"""Memory in MB that goes with each CPU in units; App Runner accepts no other pair."""


def new_config(request: CreateServiceRequest, auto_scaling_arn: str) -> ServiceConfig:
    """Raises EngineError (InvalidRequestException) for combinations that the shapes alone allow."""
    return ServiceConfig(
        source=full_source(request.source_configuration),
        instance=full_instance(request.instance_configuration),
        health_check=full_health_check(request.health_check_configuration),
        network=full_network(request.network_configuration),
        auto_scaling_arn=auto_scaling_arn,
        observability=request.observability_configuration,
        encryption=request.encryption_configuration,
    )


def updated_config(config: ServiceConfig, request: UpdateServiceRequest, auto_scaling_arn: str) -> ServiceConfig:
    """Structures that were sent replace what was there, absent ones stay. Raises EngineError."""
    source = config.source
    if request.source_configuration is not None:
        source = full_source(request.source_configuration)
        if (source.code_repository is None) != (config.source.code_repository is None):
            raise invalid_request("The source type of a service cannot be changed between code and image.")
    return replace(
        config,
        source=source,
        instance=full_instance(request.instance_configuration) if request.instance_configuration else config.instance,
        health_check=full_health_check(request.health_check_configuration)
        if request.health_check_configuration
        else config.health_check,
        network=full_network(request.network_configuration) if request.network_configuration else config.network,
        auto_scaling_arn=auto_scaling_arn,
        observability=request.observability_configuration or config.observability,
    )


def needs_build(old: ServiceConfig, new: ServiceConfig) -> bool:
    """Whether going from `old` to `new` takes a fetch and a build, or only new instances of the same build."""
    return _build_inputs(old.source) != _build_inputs(new.source)


def _build_inputs(source: SourceConfiguration) -> object:
    repository = source.code_repository
    if repository is None:
        return source.image_repository and source.image_repository.image_identifier
    code = repository.code_configuration
    values = code.code_configuration_values if code else None
    return (
        repository.repository_url,
        repository.source_code_version,
        repository.source_directory,
        code.configuration_source if code else ConfigurationSource.REPOSITORY,
        values and (values.runtime, values.build_command),
    )


def full_source(source: SourceConfiguration) -> SourceConfiguration:
    code, image = source.code_repository, source.image_repository
    if code is not None and image is None:
        wanted = source.auto_deployments_enabled
        return replace(
            source,
            code_repository=_full_repository(code),
            auto_deployments_enabled=True if wanted is None else wanted,
        )
    if image is not None and code is None:
        return _full_image_source(source, image)
    raise invalid_request("Exactly one of CodeRepository and ImageRepository must be given in SourceConfiguration.")


def _full_image_source(source: SourceConfiguration, image: ImageRepository) -> SourceConfiguration:
    public = image.image_repository_type is ImageRepositoryType.ECR_PUBLIC
    authentication = source.authentication_configuration
    if public and authentication is not None and authentication.access_role_arn is not None:
        raise invalid_request("An image in ECR_PUBLIC needs no AccessRoleArn and takes none.")
    configuration = image.image_configuration or ImageConfiguration()
    _refuse_reserved(configuration.runtime_environment_variables, configuration.runtime_environment_secrets)
    configuration = replace(configuration, port=_port(configuration.port))
    # App Runner refuses this for ECR Public, too; what cannot be watched at all is a digest: it never moves.
    fixed = "@" in image.image_identifier
    wanted = source.auto_deployments_enabled
    if wanted and fixed:
        raise invalid_request(
            "AutoDeploymentsEnabled needs a tag to watch: an image named by its digest never changes."
        )
    return replace(
        source,
        image_repository=replace(image, image_configuration=configuration),
        auto_deployments_enabled=not (public or fixed) if wanted is None else wanted,
    )


def _port(port: str | None) -> str:
    port = port or "8080"
    if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise invalid_request(f"Port must be a number from 1 to 65535, not '{port[:20]}'.")
    return port


def _refuse_reserved(*names: dict[str, str] | None) -> None:
    reserved = sorted(key for each in names for key in each or () if key.startswith("AWSAPPRUNNER"))
    if reserved:
        raise invalid_request(f"Environment names that begin with AWSAPPRUNNER are reserved: {', '.join(reserved)}.")


def _full_repository(code: CodeRepository) -> CodeRepository:
    configuration = code.code_configuration
    if configuration is None:  # the file in the repository counts; what was not sent is not shown either
        return replace(code, source_directory=code.source_directory or "/")
    values = configuration.code_configuration_values
    if configuration.configuration_source is ConfigurationSource.API:
        if values is None:
            raise invalid_request("CodeConfigurationValues must be given when ConfigurationSource is API.")
        _refuse_reserved(values.runtime_environment_variables, values.runtime_environment_secrets)
        configuration = replace(configuration, code_configuration_values=replace(values, port=_port(values.port)))
    return replace(code, code_configuration=configuration, source_directory=code.source_directory or "/")


def full_instance(instance: InstanceConfiguration | None) -> InstanceConfiguration:
    """CPU and memory come back as plain numbers whatever was sent."""
    instance = instance or InstanceConfiguration()
    cpu = _units(instance.cpu) if instance.cpu else "1024"
    memory = _megabytes(instance.memory) if instance.memory else ("2048" if cpu == "1024" else VALID_SIZES[cpu][0])
    if memory not in VALID_SIZES[cpu]:
        allowed = ", ".join(VALID_SIZES[cpu])
        raise invalid_request(f"Memory {memory} MB does not go with CPU {cpu}; allowed: {allowed}.")
    return replace(instance, cpu=cpu, memory=memory)


def _units(cpu: str) -> str:
    return _UNITS[cpu.removesuffix(" vCPU")] if cpu.endswith(" vCPU") else cpu


def _megabytes(memory: str) -> str:
    return str(int(float(memory.removesuffix(" GB")) * 1024)) if memory.endswith(" GB") else memory


def full_health_check(check: HealthCheckConfiguration | None) -> HealthCheckConfiguration:
    check = check or HealthCheckConfiguration()
    return HealthCheckConfiguration(
        protocol=check.protocol or HealthCheckProtocol.TCP,
        path=check.path or "/",
        interval=check.interval or 5,
        timeout=check.timeout or 2,
        healthy_threshold=check.healthy_threshold or 1,
        unhealthy_threshold=check.unhealthy_threshold or 5,
    )


def full_network(network: NetworkConfiguration | None) -> NetworkConfiguration:
    network = network or NetworkConfiguration()
    egress = network.egress_configuration or EgressConfiguration()
    if egress.egress_type is EgressType.VPC and not egress.vpc_connector_arn:
        raise invalid_request("VpcConnectorArn must be given when EgressType is VPC.")
    ingress = network.ingress_configuration
    # In the structure the member's default is false, and Terraform's SDK leaves out what is false.
    public = True if ingress is None else bool(ingress.is_publicly_accessible)
    return NetworkConfiguration(
        egress_configuration=replace(egress, egress_type=egress.egress_type or EgressType.DEFAULT),
        ingress_configuration=IngressConfiguration(is_publicly_accessible=public),
        ip_address_type=network.ip_address_type or IpAddressType.IPV4,
    )
