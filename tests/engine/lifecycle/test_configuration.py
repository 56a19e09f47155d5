"""Defaults and merging of a service's configuration, as App Runner has them."""

import pytest
from msgspec.structs import replace

from engine.lifecycle.configuration import VALID_SIZES, full_instance, needs_build, new_config, updated_config
from engine.model.actions.service import CreateServiceRequest, UpdateServiceRequest
from engine.model.errors import EngineError, ErrorCode
from engine.model.service import (
    ApiRuntime,
    AuthenticationConfiguration,
    CodeConfiguration,
    CodeConfigurationValues,
    CodeRepository,
    ConfigurationSource,
    HealthCheckConfiguration,
    HealthCheckProtocol,
    ImageConfiguration,
    ImageRepository,
    ImageRepositoryType,
    IngressConfiguration,
    InstanceConfiguration,
    NetworkConfiguration,
    SourceCodeVersion,
    SourceCodeVersionType,
    SourceConfiguration,
)


def code(url="/r", values=None) -> SourceConfiguration:
    configuration = None
    if values:
        configuration = CodeConfiguration(
            configuration_source=ConfigurationSource.API, code_configuration_values=values
        )
    return SourceConfiguration(
        code_repository=CodeRepository(
            repository_url=url,
            source_code_version=SourceCodeVersion(type=SourceCodeVersionType.BRANCH, value="main"),
            code_configuration=configuration,
        )
    )


IMAGE = SourceConfiguration(
    image_repository=ImageRepository(
        image_identifier="public.ecr.aws/x/y", image_repository_type=ImageRepositoryType.ECR_PUBLIC
    )
)


def create(source=None, **changes):
    request = CreateServiceRequest(service_name="name", source_configuration=source or code())
    return new_config(replace(request, **changes), "arn")


def test_everything_left_out_has_app_runners_default():
    config = create()

    assert (config.instance.cpu, config.instance.memory) == ("1024", "2048")
    assert config.health_check == HealthCheckConfiguration(
        protocol=HealthCheckProtocol.TCP, path="/", interval=5, timeout=2, healthy_threshold=1, unhealthy_threshold=5
    )
    assert config.source.auto_deployments_enabled is True
    assert config.source.code_repository.source_directory == "/"
    assert config.source.code_repository.code_configuration is None, "as it was sent"
    assert config.network.ingress_configuration.is_publicly_accessible is True


def test_sizes_come_back_as_plain_numbers():
    assert full_instance(InstanceConfiguration(cpu="0.25 vCPU", memory="0.5 GB")) == InstanceConfiguration(
        cpu="256", memory="512"
    )
    assert full_instance(InstanceConfiguration(cpu="4 vCPU")).memory == "8192"


@pytest.mark.parametrize("cpu", VALID_SIZES)
def test_a_memory_size_goes_with_few_cpu_sizes(cpu):
    for memory in ("512", "1024", "2048", "3072", "4096", "6144", "8192", "10240", "12288"):
        instance = InstanceConfiguration(cpu=cpu, memory=memory)
        if memory in VALID_SIZES[cpu]:
            assert full_instance(instance) == instance
        else:
            with pytest.raises(EngineError, match="does not go with"):
                full_instance(instance)


def test_exactly_one_source_is_wanted():
    both = replace(code(), image_repository=IMAGE.image_repository)
    for source in (SourceConfiguration(), both):
        with pytest.raises(EngineError, match="Exactly one"):
            create(source)


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "80.0", "٣"])
def test_a_port_is_a_number_in_range(port):
    values = CodeConfigurationValues(runtime=ApiRuntime.PYTHON_3, start_command="x", port=port)

    with pytest.raises(EngineError, match="Port must be"):
        create(code(values=values))


def test_reserved_environment_names_are_refused():
    values = CodeConfigurationValues(runtime=ApiRuntime.PYTHON_3, runtime_environment_variables={"AWSAPPRUNNER_X": "1"})

    with pytest.raises(EngineError, match="AWSAPPRUNNER_X") as caught:
        create(code(values=values))
    assert caught.value.code is ErrorCode.INVALID_REQUEST


class TestUpdating:
    def test_what_is_sent_replaces_and_what_is_absent_stays(self):
        config = create(
            health_check_configuration=HealthCheckConfiguration(protocol=HealthCheckProtocol.HTTP, path="/h")
        )

        kept = updated_config(config, UpdateServiceRequest(service_arn="a"), "arn")
        assert kept == config
        check = HealthCheckConfiguration(interval=9)
        changed = updated_config(config, UpdateServiceRequest(service_arn="a", health_check_configuration=check), "arn")
        # A whole structure replaces: the protocol is the default again.
        assert changed.health_check.protocol is HealthCheckProtocol.TCP
        assert changed.health_check.interval == 9

    def test_the_kind_of_source_cannot_change(self):
        with pytest.raises(EngineError, match="cannot be changed"):
            updated_config(create(), UpdateServiceRequest(service_arn="a", source_configuration=IMAGE), "arn")

    def test_only_what_the_build_sees_needs_a_build(self):
        values = CodeConfigurationValues(runtime=ApiRuntime.PYTHON_3, build_command="make", start_command="x")
        config = create(code(values=values))

        def after(**changes):
            return create(code(values=replace(values, **changes)))

        assert not needs_build(config, after(start_command="y"))
        assert not needs_build(config, after(runtime_environment_variables={"A": "1"}))
        assert needs_build(config, after(build_command="make all"))
        assert needs_build(config, create(code(url="/other", values=values)))


def image(kind=ImageRepositoryType.ECR, role=None, **more):
    return SourceConfiguration(
        image_repository=ImageRepository(image_identifier="registry/name:tag", image_repository_type=kind, **more),
        authentication_configuration=AuthenticationConfiguration(access_role_arn=role) if role else None,
    )


def test_images_deploy_by_themselves_unless_they_are_public():
    assert create(image()).source.auto_deployments_enabled is True
    assert create(image(ImageRepositoryType.ECR_PUBLIC)).source.auto_deployments_enabled is False


def test_an_image_listens_on_8080_unless_it_says_otherwise():
    assert create(image()).source.image_repository.image_configuration.port == "8080"
    configured = ImageConfiguration(port="3000")
    assert create(image(image_configuration=configured)).source.image_repository.image_configuration.port == "3000"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (image(ImageRepositoryType.ECR_PUBLIC, role="arn:aws:iam::123456789012:role/pull"), "AccessRoleArn"),
        (image(image_configuration=ImageConfiguration(port="http")), "Port must be a number"),
        (
            image(image_configuration=ImageConfiguration(runtime_environment_variables={"AWSAPPRUNNER_X": "1"})),
            "reserved",
        ),
    ],
)
def test_images_that_app_runner_refuses_are_refused(source, message):
    with pytest.raises(EngineError, match=message) as caught:
        create(source)
    assert caught.value.code is ErrorCode.INVALID_REQUEST


def test_an_empty_ingress_structure_means_private():
    """Terraform's SDK leaves out what is false."""
    network = NetworkConfiguration(ingress_configuration=IngressConfiguration())
    config = create(network_configuration=network)
    assert config.network.ingress_configuration.is_publicly_accessible is False


def test_the_file_counts_whether_it_is_said_or_not():
    said = replace(
        code(),
        code_repository=replace(
            code().code_repository,
            code_configuration=CodeConfiguration(configuration_source=ConfigurationSource.REPOSITORY),
        ),
    )
    assert not needs_build(create(code()), create(said))
