"""STS: who calls."""

from engine.model.base import Request, Wire


class GetCallerIdentityResponse(Wire, frozen=True, kw_only=True):
    user_id: str
    account: str
    arn: str


class GetCallerIdentityRequest(Request[GetCallerIdentityResponse], frozen=True, kw_only=True):
    pass
