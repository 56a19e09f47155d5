"""Actions on the custom domains of a service."""

from enum import StrEnum
from typing import Annotated

import msgspec

from engine.model.actions.paging import Upto5
from engine.model.base import Request, Value, Wire
from engine.model.service import Arn, Limit, Text

DomainName = Annotated[str, Limit(pattern=r"\A[A-Za-z0-9*.-]{1,255}\Z", min_length=1, max_length=255)]


class CertificateStatus(StrEnum):
    """Of a validation record: upper case on the wire, unlike the status of the domain."""

    PENDING_VALIDATION = "PENDING_VALIDATION"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"


class CertificateValidationRecord(Wire, frozen=True, kw_only=True):
    name: str | None = None
    type: str | None = None
    value: str | None = None
    status: CertificateStatus | None = None


class CustomDomain(Wire, frozen=True, kw_only=True):
    domain_name: str
    enable_www_subdomain: bool = msgspec.field(name="EnableWWWSubdomain")
    certificate_validation_records: tuple[CertificateValidationRecord, ...] | None = None
    status: str
    """Lower case on the wire, as the clients compare it, though the model's enum is upper case."""


class VpcDnsTarget(Wire, frozen=True, kw_only=True):
    vpc_ingress_connection_arn: str | None = None
    vpc_id: str | None = None
    domain_name: str | None = None


class AssociateCustomDomainResponse(Wire, frozen=True, kw_only=True):
    dns_target: str = msgspec.field(name="DNSTarget")
    service_arn: str
    custom_domain: CustomDomain
    vpc_dns_targets: tuple[VpcDnsTarget, ...] = msgspec.field(name="VpcDNSTargets")


class AssociateCustomDomainRequest(Request[AssociateCustomDomainResponse], frozen=True, kw_only=True):
    service_arn: Arn
    domain_name: DomainName
    enable_www_subdomain: bool | None = msgspec.field(default=None, name="EnableWWWSubdomain")


class DescribeCustomDomainsResponse(Wire, frozen=True, kw_only=True):
    dns_target: str = msgspec.field(name="DNSTarget")
    service_arn: str
    custom_domains: tuple[CustomDomain, ...]
    vpc_dns_targets: tuple[VpcDnsTarget, ...] = msgspec.field(name="VpcDNSTargets")
    next_token: str | None = None


class DescribeCustomDomainsRequest(Request[DescribeCustomDomainsResponse], frozen=True, kw_only=True):
    service_arn: Arn
    next_token: Text | None = None
    max_results: Upto5 | None = None


class DisassociateCustomDomainResponse(Wire, frozen=True, kw_only=True):
    dns_target: str = msgspec.field(name="DNSTarget")
    service_arn: str
    custom_domain: CustomDomain
    vpc_dns_targets: tuple[VpcDnsTarget, ...] = msgspec.field(name="VpcDNSTargets")


class DisassociateCustomDomainRequest(Request[DisassociateCustomDomainResponse], frozen=True, kw_only=True):
    service_arn: Arn
    domain_name: DomainName


class DomainStatus(StrEnum):
    CREATING = "creating"
    CREATE_FAILED = "create_failed"
    ACTIVE = "active"
    DELETING = "deleting"
    DELETE_FAILED = "delete_failed"
    PENDING_CERTIFICATE_DNS_VALIDATION = "pending_certificate_dns_validation"
    BINDING_CERTIFICATE = "binding_certificate"


class ValidationName(Value, frozen=True, kw_only=True):
    """A CNAME that proves who owns a domain, as it is minted once and kept."""

    name: str
    value: str
