"""Custom domains: which names a service is to answer to, and the DNS records that would prove them ours.

Nothing validates or serves them yet: an association stays in pending_certificate_dns_validation.
"""

import secrets

from engine.control.account import Account
from engine.control.paging import page
from engine.lifecycle.admission import admit_domain_change
from engine.lifecycle.routing import default_host
from engine.model.actions.custom_domain import (
    AssociateCustomDomainRequest,
    AssociateCustomDomainResponse,
    CertificateStatus,
    CertificateValidationRecord,
    CustomDomain,
    DescribeCustomDomainsRequest,
    DescribeCustomDomainsResponse,
    DisassociateCustomDomainRequest,
    DisassociateCustomDomainResponse,
    DomainStatus,
    ValidationName,
    VpcDnsTarget,
)
from engine.model.errors import EngineError, ErrorCode, invalid_request
from engine.model.ids import new_id, new_label
from engine.model.record import ServiceRecord
from engine.model.resource import CustomDomainRecord, VpcIngressRecord
from engine.store.state import StateStore, Transaction

DOMAINS_AT_MOST = 5
"""App Runner's quota per service."""

_CREATING_S = 1.0
"""App Runner shows `creating` for a moment; clients wait for what comes after it."""


class CustomDomains:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._store = account.store

    async def associate(self, request: AssociateCustomDomainRequest) -> AssociateCustomDomainResponse:
        service = self._account.find_living_service(request.service_arn, missing=ErrorCode.INVALID_REQUEST)
        name = request.domain_name
        www = www_belongs(name, request.enable_www_subdomain)
        wanted = _names(name, www=www)
        now = self._account.clock.now()

        def associate(tx: Transaction) -> CustomDomainRecord:
            admit_domain_change(tx.service(service.id).status)
            known = tx.resources(CustomDomainRecord)
            for other in known:
                for taken in wanted:
                    if taken.lower() in map(str.lower, _names(other.domain_name, www=other.www)):
                        owner = self._store.services[other.service_id].name
                        raise invalid_request(f"{taken} is already associated with the service {owner}.")
            if sum(other.service_id == service.id for other in known) >= DOMAINS_AT_MOST:
                raise invalid_request(f"A service can have at most {DOMAINS_AT_MOST} custom domains.")
            record = CustomDomainRecord(
                id=new_id(),
                service_id=service.id,
                domain_name=name,
                www=www,
                validation=validation_names(name, www=www),
                created_at=now,
            )
            tx.put(record)
            return record

        record = await self._account.write(associate)
        return AssociateCustomDomainResponse(
            dns_target=self._target(service),
            service_arn=service.arn,
            custom_domain=self._shape(record, DomainStatus.CREATING),
            vpc_dns_targets=_vpc_targets(self._store, service.arn),
        )

    async def describe(self, request: DescribeCustomDomainsRequest) -> DescribeCustomDomainsResponse:
        service = self._account.find_living_service(request.service_arn)
        found, token = page(self._of(service.id), request.next_token, request.max_results)
        now = self._account.clock.now()
        return DescribeCustomDomainsResponse(
            dns_target=self._target(service),
            service_arn=service.arn,
            custom_domains=tuple(self._shape(record, status_of(record, now)) for record in found),
            vpc_dns_targets=_vpc_targets(self._store, service.arn),
            next_token=token,
        )

    async def disassociate(self, request: DisassociateCustomDomainRequest) -> DisassociateCustomDomainResponse:
        service = self._account.find_living_service(request.service_arn)
        name = request.domain_name.lower()

        def disassociate(tx: Transaction) -> CustomDomainRecord:
            admit_domain_change(tx.service(service.id).status)
            for record in tx.resources(CustomDomainRecord):
                if (record.service_id, record.domain_name.lower()) == (service.id, name):
                    tx.remove(CustomDomainRecord, record.id)
                    return record
            # Copilot takes the domain as gone by this text, Terraform by the type.
            raise EngineError(
                ErrorCode.RESOURCE_NOT_FOUND,
                f"No custom domain {request.domain_name} found for the provided service.",
            )

        record = await self._account.write(disassociate)
        return DisassociateCustomDomainResponse(
            dns_target=self._target(service),
            service_arn=service.arn,
            custom_domain=self._shape(record, DomainStatus.DELETING),
            vpc_dns_targets=_vpc_targets(self._store, service.arn),
        )

    def _of(self, service_id: str) -> list[CustomDomainRecord]:
        return [record for record in self._store.resources(CustomDomainRecord) if record.service_id == service_id]

    def _target(self, service: ServiceRecord) -> str:
        return default_host(service, self._account.settings.region)

    def _shape(self, record: CustomDomainRecord, status: DomainStatus) -> CustomDomain:
        upper = self._account.settings.upper_case_statuses
        return CustomDomain(
            domain_name=record.domain_name,
            enable_www_subdomain=record.www,
            certificate_validation_records=tuple(
                CertificateValidationRecord(
                    name=each.name, type="CNAME", value=each.value, status=CertificateStatus.PENDING_VALIDATION
                )
                for each in record.validation
            ),
            status=status.value.upper() if upper else status.value,
        )


def status_of(record: CustomDomainRecord, now: float) -> DomainStatus:
    young = now - record.created_at < _CREATING_S
    return DomainStatus.CREATING if young else DomainStatus.PENDING_CERTIFICATE_DNS_VALIDATION


def www_belongs(name: str, wanted: bool | None) -> bool:
    """Whether the www subdomain is to belong to the domain. Raises EngineError for what is no domain name."""
    wildcard = name.startswith("*.")
    labels = (name[2:] if wildcard else name).split(".")
    well_formed = all(
        1 <= len(label) <= 63 and "*" not in label and not label.startswith("-") and not label.endswith("-")
        for label in labels
    )
    if not well_formed or len(labels) < 2 or labels[-1].isdigit():
        raise invalid_request(
            f"{name} is not a domain name: give a root domain (example.com), a subdomain (app.example.com) or a"
            " wildcard (*.example.com)."
        )
    if wildcard and wanted:
        raise invalid_request("A wildcard domain has no www subdomain: send EnableWWWSubdomain as false.")
    return not wildcard if wanted is None else wanted


def validation_names(name: str, *, www: bool) -> tuple[ValidationName, ...]:
    """A CNAME for each name in the certificate: the domain, a random one under it and, if it belongs to it, www."""
    root = name.removeprefix("*.")
    zone = new_label(10)
    certified = [root, f"{new_label(31)}.{root}", *([f"www.{root}"] if www else [])]
    return tuple(
        ValidationName(
            name=f"_{secrets.token_hex(16)}.{each}.",
            value=f"_{secrets.token_hex(16)}.{zone}.acm-validations.aws.",
        )
        for each in certified
    )


def _names(name: str, *, www: bool) -> tuple[str, ...]:
    return (name, f"www.{name}") if www else (name,)


def _vpc_targets(store: StateStore, service_arn: str) -> tuple[VpcDnsTarget, ...]:
    return tuple(
        VpcDnsTarget(vpc_ingress_connection_arn=record.arn, vpc_id=record.vpc_id, domain_name=record.domain_name)
        for record in store.resources(VpcIngressRecord)
        if record.target_arn == service_arn and record.deleted_at is None
    )
