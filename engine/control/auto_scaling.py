"""Auto scaling configurations: revisions, the account's default, and which services have which."""

from msgspec.structs import replace

from engine.control.account import Account, tags_from
from engine.control.paging import page
from engine.control.revisions import active, find, is_latest, next_revision
from engine.model.actions.auto_scaling import (
    AutoScalingConfiguration,
    CreateAutoScalingConfigurationRequest,
    CreateAutoScalingConfigurationResponse,
    DeleteAutoScalingConfigurationRequest,
    DeleteAutoScalingConfigurationResponse,
    DescribeAutoScalingConfigurationRequest,
    DescribeAutoScalingConfigurationResponse,
    ListAutoScalingConfigurationsRequest,
    ListAutoScalingConfigurationsResponse,
    ListServicesForAutoScalingConfigurationRequest,
    ListServicesForAutoScalingConfigurationResponse,
    UpdateDefaultAutoScalingConfigurationRequest,
    UpdateDefaultAutoScalingConfigurationResponse,
)
from engine.model.errors import ErrorCode, invalid_request
from engine.model.ids import new_id
from engine.model.resource import AutoScalingRecord, first_auto_scaling
from engine.model.service import AutoScalingConfigurationSummary, ServiceStatus
from engine.store.state import Transaction

KIND = "autoscalingconfiguration"
NAMES_AT_MOST, REVISIONS_AT_MOST = 10, 5
"""App Runner's quotas."""

_WHAT = "auto scaling configuration"


class AutoScaling:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._store = account.store
        self._region = account.settings.region

    async def begin(self) -> None:
        """An account begins with one configuration, and always has a default."""

        def ensure(tx: Transaction) -> None:
            if not any(record.is_default for record in tx.resources(AutoScalingRecord)):
                tx.put(first_auto_scaling(self._region, self._account.clock.now()))

        await self._account.write(ensure)

    # For services.

    def chosen(self, arn: str | None) -> AutoScalingRecord:
        """What a service gets that names this one, or none. Raises EngineError (InvalidRequestException)."""
        records = self._store.resources(AutoScalingRecord)
        if arn is None:
            return next(record for record in records if record.is_default)
        record = self._find(arn, records, missing=ErrorCode.INVALID_REQUEST)
        _refuse_deleted(record)
        return record

    def summary_for(self, arn: str) -> AutoScalingConfigurationSummary:
        """As a service that has it shows it."""
        record = self._store.resource(AutoScalingRecord, arn.rpartition("/")[2])
        if record is None:
            return AutoScalingConfigurationSummary(auto_scaling_configuration_arn=arn)
        return self._summary(record, has_service=True)

    # Actions.

    async def create(self, request: CreateAutoScalingConfigurationRequest) -> CreateAutoScalingConfigurationResponse:
        name, config_id, now = request.auto_scaling_configuration_name, new_id(), self._account.clock.now()
        tags = tags_from(request.tags)

        def create(tx: Transaction) -> AutoScalingRecord:
            known = tx.resources(AutoScalingRecord)
            revision = next_revision(known, name, what=_WHAT, names=NAMES_AT_MOST, revisions=REVISIONS_AT_MOST)
            record = AutoScalingRecord(
                id=config_id,
                arn=self._account.arn(KIND, name, revision, config_id),
                name=name,
                revision=revision,
                tags=tags,
                created_at=now,
                max_concurrency=request.max_concurrency or 100,
                min_size=request.min_size or 1,
                max_size=request.max_size or 25,
            )
            if record.min_size > record.max_size:
                raise invalid_request(
                    f"MinSize must not be greater than MaxSize; they are {record.min_size} and {record.max_size}."
                )
            tx.put(record)
            return record

        record = await self._account.write(create)
        return CreateAutoScalingConfigurationResponse(auto_scaling_configuration=self._shape(record))

    async def describe(
        self, request: DescribeAutoScalingConfigurationRequest
    ) -> DescribeAutoScalingConfigurationResponse:
        record = self._find(request.auto_scaling_configuration_arn, self._store.resources(AutoScalingRecord))
        return DescribeAutoScalingConfigurationResponse(auto_scaling_configuration=self._shape(record))

    async def list_all(self, request: ListAutoScalingConfigurationsRequest) -> ListAutoScalingConfigurationsResponse:
        records = active(self._store.resources(AutoScalingRecord), request.auto_scaling_configuration_name)
        if request.latest_only is not False:
            records = [record for record in records if is_latest(record, records)]
        found, token = page(records, request.next_token, request.max_results)
        used = self._used()
        return ListAutoScalingConfigurationsResponse(
            auto_scaling_configuration_summary_list=tuple(
                self._summary(record, has_service=record.arn in used) for record in found
            ),
            next_token=token,
        )

    async def list_services(
        self, request: ListServicesForAutoScalingConfigurationRequest
    ) -> ListServicesForAutoScalingConfigurationResponse:
        record = self._find(request.auto_scaling_configuration_arn, self._store.resources(AutoScalingRecord))
        arns = [
            service.arn
            for service in self._store.services.values()
            if service.config.auto_scaling_arn == record.arn and service.status is not ServiceStatus.DELETED
        ]
        found, token = page(arns, request.next_token, request.max_results)
        return ListServicesForAutoScalingConfigurationResponse(service_arn_list=found, next_token=token)

    async def update_default(
        self, request: UpdateDefaultAutoScalingConfigurationRequest
    ) -> UpdateDefaultAutoScalingConfigurationResponse:
        def update(tx: Transaction) -> AutoScalingRecord:
            known = tx.resources(AutoScalingRecord)
            chosen = self._find(request.auto_scaling_configuration_arn, known)
            _refuse_deleted(chosen)
            for record in known:
                if record.is_default and record.id != chosen.id:
                    tx.put(replace(record, is_default=False))
            chosen = replace(chosen, is_default=True)
            tx.put(chosen)
            return chosen

        record = await self._account.write(update)
        return UpdateDefaultAutoScalingConfigurationResponse(auto_scaling_configuration=self._shape(record))

    async def delete(self, request: DeleteAutoScalingConfigurationRequest) -> DeleteAutoScalingConfigurationResponse:
        arn, now = request.auto_scaling_configuration_arn, self._account.clock.now()

        def delete(tx: Transaction) -> AutoScalingRecord:
            known = tx.resources(AutoScalingRecord)
            named = self._find(arn, known)
            _refuse_deleted(named)
            doomed = [named]
            if request.delete_all_revisions:
                if arn != self._account.arn(KIND, named.name):
                    raise invalid_request("To delete all revisions, give the ARN that ends with the name.")
                doomed = active(known, named.name)
            used = self._used()
            for record in doomed:
                which = f"{record.name} revision {record.revision}"
                if record.is_default:
                    raise invalid_request(
                        f"{which} is the account's default; make another auto scaling configuration the default first."
                    )
                if record.arn in used:
                    raise invalid_request(f"{which} is used by the service {used[record.arn]} and cannot be deleted.")
            for record in doomed:
                tx.put(replace(record, deleted_at=now))
            return replace(named, deleted_at=now)

        record = await self._account.write(delete)
        return DeleteAutoScalingConfigurationResponse(auto_scaling_configuration=self._shape(record))

    # How.

    def _find(
        self, arn: str, records: list[AutoScalingRecord], *, missing: ErrorCode = ErrorCode.RESOURCE_NOT_FOUND
    ) -> AutoScalingRecord:
        return find(arn, records, self._region, KIND, missing=missing, what=_WHAT)

    def _used(self) -> dict[str, str]:
        """ARNs in use, each with the name of a service that uses it."""
        return {config.auto_scaling_arn: service.name for service, config in self._account.configurations_in_use()}

    def _status(self, record: AutoScalingRecord) -> str:
        # Terraform and Copilot compare it in lower case, though the API's model has it in upper case.
        status = "active" if record.deleted_at is None else "inactive"
        return status.upper() if self._account.settings.upper_case_statuses else status

    def _summary(self, record: AutoScalingRecord, *, has_service: bool) -> AutoScalingConfigurationSummary:
        return AutoScalingConfigurationSummary(
            auto_scaling_configuration_arn=record.arn,
            auto_scaling_configuration_name=record.name,
            auto_scaling_configuration_revision=record.revision,
            status=self._status(record),
            created_at=record.created_at,
            has_associated_service=has_service,
            is_default=record.is_default,
        )

    def _shape(self, record: AutoScalingRecord) -> AutoScalingConfiguration:
        return AutoScalingConfiguration(
            auto_scaling_configuration_arn=record.arn,
            auto_scaling_configuration_name=record.name,
            auto_scaling_configuration_revision=record.revision,
            latest=is_latest(record, self._store.resources(AutoScalingRecord)),
            status=self._status(record),
            max_concurrency=record.max_concurrency,
            min_size=record.min_size,
            max_size=record.max_size,
            created_at=record.created_at,
            deleted_at=record.deleted_at,
            has_associated_service=record.arn in self._used(),
            is_default=record.is_default,
        )


def _refuse_deleted(record: AutoScalingRecord) -> None:
    if record.deleted_at is not None:
        # Terraform takes the call as done by this text.
        raise invalid_request("The auto scaling configuration you specified has been deleted.")
