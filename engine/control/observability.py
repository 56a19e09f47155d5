"""Observability configurations: revisions of what services are to trace. Nothing here traces yet."""

from msgspec.structs import replace

from engine.control.account import Account, tags_from
from engine.control.paging import page
from engine.control.revisions import active, find, is_latest, next_revision
from engine.model.actions.observability import (
    CreateObservabilityConfigurationRequest,
    CreateObservabilityConfigurationResponse,
    DeleteObservabilityConfigurationRequest,
    DeleteObservabilityConfigurationResponse,
    DescribeObservabilityConfigurationRequest,
    DescribeObservabilityConfigurationResponse,
    ListObservabilityConfigurationsRequest,
    ListObservabilityConfigurationsResponse,
    ObservabilityConfiguration,
    ObservabilityConfigurationSummary,
    ResourceStatus,
    TraceConfiguration,
)
from engine.model.errors import ErrorCode, invalid_request
from engine.model.ids import DEFAULT_CONFIGURATION_NAME, new_id
from engine.model.resource import ObservabilityRecord, first_observability
from engine.model.service import ServiceObservabilityConfiguration
from engine.store.state import Transaction

KIND = "observabilityconfiguration"
NAMES_AT_MOST = REVISIONS_AT_MOST = 10
"""App Runner's quotas."""

_WHAT = "observability configuration"


class Observability:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._store = account.store
        self._region = account.settings.region

    async def begin(self) -> None:
        """An account begins with one configuration."""

        def ensure(tx: Transaction) -> None:
            if not active(tx.resources(ObservabilityRecord), DEFAULT_CONFIGURATION_NAME):
                tx.put(first_observability(self._region, self._account.clock.now()))

        await self._account.write(ensure)

    def chosen(self, wanted: ServiceObservabilityConfiguration | None) -> ServiceObservabilityConfiguration | None:
        """What a service wants, the ARN in full where it names one; without one DefaultConfiguration is meant.

        Raises EngineError (InvalidRequestException).
        """
        if wanted is None or not wanted.observability_enabled:
            return wanted
        records = self._store.resources(ObservabilityRecord)
        arn = wanted.observability_configuration_arn or self._account.arn(KIND, DEFAULT_CONFIGURATION_NAME)
        record = self._find(arn, records, missing=ErrorCode.INVALID_REQUEST)
        if record.deleted_at is not None:
            raise invalid_request("The observability configuration you specified has been deleted.")
        if wanted.observability_configuration_arn is None:
            return wanted
        return replace(wanted, observability_configuration_arn=record.arn)

    async def create(
        self, request: CreateObservabilityConfigurationRequest
    ) -> CreateObservabilityConfigurationResponse:
        name, config_id, now = request.observability_configuration_name, new_id(), self._account.clock.now()
        if name == DEFAULT_CONFIGURATION_NAME:
            raise invalid_request(f"The name {name} is reserved.")
        tags = tags_from(request.tags)

        def create(tx: Transaction) -> ObservabilityRecord:
            known = tx.resources(ObservabilityRecord)
            # The one that is built in does not count.
            counted = [record for record in known if record.name != DEFAULT_CONFIGURATION_NAME]
            revision = next_revision(counted, name, what=_WHAT, names=NAMES_AT_MOST, revisions=REVISIONS_AT_MOST)
            record = ObservabilityRecord(
                id=config_id,
                arn=self._account.arn(KIND, name, revision, config_id),
                name=name,
                revision=revision,
                vendor=request.trace_configuration.vendor if request.trace_configuration else None,
                tags=tags,
                created_at=now,
            )
            tx.put(record)
            return record

        record = await self._account.write(create)
        return CreateObservabilityConfigurationResponse(observability_configuration=self._shape(record))

    async def describe(
        self, request: DescribeObservabilityConfigurationRequest
    ) -> DescribeObservabilityConfigurationResponse:
        record = self._find(request.observability_configuration_arn, self._store.resources(ObservabilityRecord))
        return DescribeObservabilityConfigurationResponse(observability_configuration=self._shape(record))

    async def list_all(
        self, request: ListObservabilityConfigurationsRequest
    ) -> ListObservabilityConfigurationsResponse:
        records = active(self._store.resources(ObservabilityRecord), request.observability_configuration_name)
        if request.latest_only is not False:
            records = [record for record in records if is_latest(record, records)]
        found, token = page(records, request.next_token, request.max_results)
        return ListObservabilityConfigurationsResponse(
            observability_configuration_summary_list=tuple(
                ObservabilityConfigurationSummary(
                    observability_configuration_arn=record.arn,
                    observability_configuration_name=record.name,
                    observability_configuration_revision=record.revision,
                )
                for record in found
            ),
            next_token=token,
        )

    async def delete(
        self, request: DeleteObservabilityConfigurationRequest
    ) -> DeleteObservabilityConfigurationResponse:
        now = self._account.clock.now()

        def delete(tx: Transaction) -> ObservabilityRecord:
            record = self._find(request.observability_configuration_arn, tx.resources(ObservabilityRecord))
            which = f"{record.name} revision {record.revision}"
            if record.name == DEFAULT_CONFIGURATION_NAME:
                raise invalid_request(f"{which} is built in and cannot be deleted.")
            if record.deleted_at is not None:
                raise invalid_request("The observability configuration you specified has been deleted.")
            for service, config in self._account.configurations_in_use():
                wanted = config.observability
                if wanted is not None and wanted.observability_configuration_arn == record.arn:
                    raise invalid_request(f"{which} is used by the service {service.name} and cannot be deleted.")
            record = replace(record, deleted_at=now)
            tx.put(record)
            return record

        record = await self._account.write(delete)
        return DeleteObservabilityConfigurationResponse(observability_configuration=self._shape(record))

    def _find(
        self, arn: str, records: list[ObservabilityRecord], *, missing: ErrorCode = ErrorCode.RESOURCE_NOT_FOUND
    ) -> ObservabilityRecord:
        return find(arn, records, self._region, KIND, missing=missing, what=_WHAT)

    def _shape(self, record: ObservabilityRecord) -> ObservabilityConfiguration:
        return ObservabilityConfiguration(
            observability_configuration_arn=record.arn,
            observability_configuration_name=record.name,
            trace_configuration=TraceConfiguration(vendor=record.vendor) if record.vendor else None,
            observability_configuration_revision=record.revision,
            latest=is_latest(record, self._store.resources(ObservabilityRecord)),
            status=ResourceStatus.ACTIVE if record.deleted_at is None else ResourceStatus.INACTIVE,
            created_at=record.created_at,
            deleted_at=record.deleted_at,
        )
