"""One statement: whom, what and when it concerns."""

import msgspec

from s3proxy.s3.policy.conditions import Condition
from s3proxy.s3.policy.patterns import Matcher, matches_resolved
from s3proxy.s3.policy.request import PolicyRequest, Principal
from s3proxy.s3.policy.variables import Template, resolve


class Principals(msgspec.Struct, frozen=True):
    """A Principal element, or with `excluded` a NotPrincipal.

    Kinds that no sender here is (roles, federated users) are in none of the sets.

    Attributes:
        anyone: `*`, which includes requests that nobody signed.
        names: of `arn:aws:iam::ACCOUNT:user/NAME` with an account's number or none, which stands
            for the bucket's tenant.
        users: the same with a tenant's name: (tenant, name).
        ids: of users, from bare ids, CanonicalUser, and `arn:aws:iam::ID:root`.
        tenants: from bare ids and `arn:aws:iam::ID:root`: every user there.
        services: such as `logging.s3.amazonaws.com`; no `*` allows one something.
    """

    excluded: bool = False
    anyone: bool = False
    names: frozenset[str] = frozenset()
    users: frozenset[tuple[str, str]] = frozenset()
    ids: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()

    def include(self, principal: Principal | None, *, deny: bool) -> bool:
        """Whether the statement, which may deny, concerns the sender."""
        if principal is not None and principal.service:
            named = principal.service in self.services or (deny and self.anyone)
            return named is not self.excluded
        named = self.anyone or (
            principal is not None
            and (
                principal.user_name in self.names
                or (principal.tenant, principal.user_name) in self.users
                or principal.user_id in self.ids
                or principal.tenant in self.tenants
            )
        )
        return named is not self.excluded


class Statement(msgspec.Struct, frozen=True):
    """One statement, compiled.

    Attributes:
        actions: all that it concerns; those of a NotAction are taken out already.
        principals: None in a user's policy, which concerns its user alone.
        excluded_resources: the resources are those of a NotResource.
        matchers: the resources without variables.
        templates: those with, as patterns.
        conditions: all must be met.
    """

    deny: bool
    actions: frozenset[str]
    principals: Principals | None
    excluded_resources: bool
    matchers: tuple[Matcher, ...]
    templates: tuple[Template, ...]
    conditions: tuple[Condition, ...]

    def applies(self, request: PolicyRequest) -> bool:
        """Whether the statement concerns the request; the cheap questions first."""
        if request.action not in self.actions:
            return False
        principals = self.principals
        if principals is not None and not principals.include(request.principal, deny=self.deny):
            return False
        if self._names(request) is self.excluded_resources:
            return False
        return all(condition.met(request.context) for condition in self.conditions)

    def _names(self, request: PolicyRequest) -> bool:
        resource = request.resource
        for matches in self.matchers:
            if matches(resource):
                return True
        for template in self.templates:
            pattern = resolve(template, request.context)
            if pattern is not None and matches_resolved(pattern, resource):
                return True
        return False
