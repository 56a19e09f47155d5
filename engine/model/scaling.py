"""Auto scaling configurations: how many instances a service may have and when it wants more."""

from engine.model.base import Value
from engine.model.ids import DEFAULT_AUTO_SCALING_NAME, auto_scaling_arn, default_auto_scaling_arn
from engine.model.service import AutoScalingConfigurationSummary


class AutoScalingConfiguration(Value, frozen=True, kw_only=True):
    """One revision; App Runner's defaults."""

    arn: str
    name: str
    revision: int
    max_concurrency: int = 100
    min_size: int = 1
    max_size: int = 25
    is_default: bool = False
    created_at: float = 0.0

    def summary(self, *, has_associated_service: bool) -> AutoScalingConfigurationSummary:
        return AutoScalingConfigurationSummary(
            auto_scaling_configuration_arn=self.arn,
            auto_scaling_configuration_name=self.name,
            auto_scaling_configuration_revision=self.revision,
            status="active",
            created_at=self.created_at,
            has_associated_service=has_associated_service,
            is_default=self.is_default,
        )


def built_in(region: str) -> AutoScalingConfiguration:
    """DefaultConfiguration, revision 1, which every account has."""
    return AutoScalingConfiguration(
        arn=default_auto_scaling_arn(region), name=DEFAULT_AUTO_SCALING_NAME, revision=1, is_default=True
    )


def names_it(arn: str, configuration: AutoScalingConfiguration, region: str) -> bool:
    """Whether a full ARN, or one that ends with the name or the name and revision, means this configuration."""
    name_only = auto_scaling_arn(region, configuration.name, 0, "").removesuffix("/0/")
    return arn in {configuration.arn, name_only, f"{name_only}/{configuration.revision}"}
