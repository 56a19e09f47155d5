"""Who calls: an account here has one user, whoever holds the home's keys. Pure."""

from engine.model.actions.identity import GetCallerIdentityRequest, GetCallerIdentityResponse
from engine.model.audit import OWNER
from engine.model.ids import ACCOUNT_ID, PARTITION


async def get_caller_identity(_: GetCallerIdentityRequest) -> GetCallerIdentityResponse:
    return GetCallerIdentityResponse(
        user_id="AIDAHOMERUN0000000000",
        account=ACCOUNT_ID,
        arn=f"arn:{PARTITION}:iam::{ACCOUNT_ID}:user/{OWNER}",
    )
