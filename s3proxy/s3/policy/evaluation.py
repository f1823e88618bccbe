"""What several policies together say of one request."""

from collections.abc import Iterable
from enum import Enum

from s3proxy.s3.policy.documents import Policy
from s3proxy.s3.policy.request import PolicyRequest


class Decision(Enum):
    """DENY wins over ALLOW, in whichever policy; NONE: no statement concerns the request."""

    DENY = "Deny"
    ALLOW = "Allow"
    NONE = "none"


def evaluate(policies: Iterable[Policy], request: PolicyRequest) -> Decision:
    """What the policies say: a statement that denies, wherever it stands, is the last word."""
    decision = Decision.NONE
    for statement in (statement for policy in policies for statement in policy.statements):
        # What is allowed already need not be allowed again.
        if (statement.deny or decision is Decision.NONE) and statement.applies(request):
            if statement.deny:
                return Decision.DENY
            decision = Decision.ALLOW
    return decision
