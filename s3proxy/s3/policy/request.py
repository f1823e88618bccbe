"""What a policy is asked about: who wants to do what to which resource."""

from collections.abc import Callable

import msgspec


class Principal(msgspec.Struct, frozen=True):
    """Who sent the request. A request that nobody signed has None in its place.

    Attributes:
        user_id: the canonical user id, also that of ACLs.
        user_name: as `arn:aws:iam::…:user/NAME` and `${aws:username}` have it.
        tenant: stands where AWS has the account id.
        service: one of AWS's names, where the gateway itself asks; it is no user then.
    """

    user_id: str
    user_name: str
    tenant: str
    service: str = ""

    @property
    def arn(self) -> str:
        """The value of `aws:PrincipalArn`."""
        return f"arn:aws:iam::{self.tenant}:user/{self.user_name}"


class PolicyRequest(msgspec.Struct, frozen=True, gc=False):
    """One request for one action on one resource.

    Attributes:
        action: one of ACTIONS, such as `s3:GetObject`.
        resource: `arn:aws:s3:::bucket/key`, `arn:aws:s3:::bucket`, or `arn:aws:s3:::*` for what
            concerns no bucket.
        context: the values of a condition key, () when the request has none. Called only when a
            condition or a policy variable asks, with the key in lower case (`s3:prefix`); but a
            tag's key, behind the slash of `s3:existingobjecttag/Team`, is as the policy has it.
    """

    action: str
    resource: str
    principal: Principal | None
    context: Callable[[str], tuple[str, ...]]
