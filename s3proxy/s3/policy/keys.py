"""The condition keys that are evaluated, and those whose absence is the truth.

Source: Service Authorization Reference, "Condition keys for Amazon S3"; IAM User Guide, "AWS global
condition context keys". A key that is not here is refused when the policy is put.
"""

from typing import Final

# Those that some requests have.
_EVALUATED: Final = """
    aws:currenttime aws:epochtime aws:principalaccount aws:principalarn
    aws:principalisawsservice aws:principaltype aws:referer aws:requestedregion
    aws:resourceaccount aws:securetransport aws:sourceip aws:useragent aws:userid aws:username
    aws:viaawsservice
    s3:authtype s3:delimiter s3:if-match s3:if-none-match s3:locationconstraint s3:max-keys
    s3:object-lock-legal-hold s3:object-lock-mode s3:object-lock-remaining-retention-days
    s3:object-lock-retain-until-date s3:objectcreationoperation s3:prefix s3:requestobjecttagkeys
    s3:resourceaccount s3:signatureage s3:signatureversion s3:tlsversion s3:versionid s3:x-amz-acl
    s3:x-amz-content-sha256 s3:x-amz-copy-source s3:x-amz-grant-full-control s3:x-amz-grant-read
    s3:x-amz-grant-read-acp s3:x-amz-grant-write s3:x-amz-grant-write-acp
    s3:x-amz-metadata-directive s3:x-amz-object-ownership s3:x-amz-server-side-encryption
    s3:x-amz-server-side-encryption-aws-kms-key-id
    s3:x-amz-server-side-encryption-customer-algorithm s3:x-amz-storage-class
    s3:x-amz-website-redirect-location
"""
CONDITION_KEYS: Final = frozenset(_EVALUATED.split())
# Followed by the key of a tag.
TAG_KEY_PREFIXES: Final = ("s3:existingobjecttag/", "s3:requestobjecttag/")

# Those that no request has here, as on AWS one that comes neither through a VPC, an access point,
# a service, a federation nor a device, from a user without tags outside of an organization.
_NEVER: Final = """
    aws:calledvia aws:calledviafirst aws:calledvialast aws:federatedprovider
    aws:multifactorauthage aws:multifactorauthpresent aws:principalorgid aws:principalorgpaths
    aws:principalservicename aws:principalservicenameslist aws:sourceaccount aws:sourcearn
    aws:sourceidentity aws:sourceorgid aws:sourceorgpaths aws:sourceowner aws:sourcevpc
    aws:sourcevpcarn aws:sourcevpce aws:tokenissuetime aws:vpcsourceip
    aws:vpceaccount aws:vpceorgid aws:vpceorgpaths
    s3:accessgrantsinstancearn s3:accesspointnetworkorigin s3:dataaccesspointaccount
    s3:dataaccesspointarn
"""
ABSENT_KEYS: Final = frozenset(_NEVER.split())
_ABSENT_PREFIXES: Final = ("aws:principaltag/", "s3:accesspointtag/")
_KNOWN: Final = CONDITION_KEYS | ABSENT_KEYS
_PREFIXES: Final = (*TAG_KEY_PREFIXES, *_ABSENT_PREFIXES)


def canonical_key(name: str) -> str | None:
    """The name in lower case, but for a tag's key behind a slash; None: no such key."""
    stem, slash, tag = name.partition("/")
    lower = stem.lower() + slash
    if slash:
        return lower + tag if lower in _PREFIXES and tag else None
    return lower if lower in _KNOWN else None


# Keys that only requests for some actions have. Those of a request as such (TlsVersion, authType)
# are not here, nor are those that no request has.
_LISTS: Final = frozenset({"s3:ListBucket", "s3:ListBucketVersions"})
_ACLS: Final = frozenset(
    f"s3:{name}"
    for name in (
        *("BypassGovernanceRetention", "CreateAccessPoint", "CreateBucket", "PutBucketAcl"),
        *("PutObject", "PutObjectAcl", "PutObjectVersionAcl"),
    )
)
_WRITES: Final = frozenset({"s3:BypassGovernanceRetention", "s3:PutObject"})
_ENCRYPTED_WRITES: Final = _WRITES | {"s3:ReplicateObject", "s3:UpdateObjectEncryption"}
_NEW_TAGS: Final = _WRITES | {"s3:PutObjectTagging", "s3:PutObjectVersionTagging"}
_RETENTION: Final = frozenset({"s3:PutObject", "s3:PutObjectRetention"})
_OLD_TAGS: Final = frozenset(
    f"s3:{verb}{name}"
    for verb, names in (
        ("Delete", ("ObjectTagging", "ObjectVersionTagging")),
        ("Put", ("ObjectAcl", "ObjectTagging", "ObjectVersionAcl", "ObjectVersionTagging")),
        ("Get", ("Object", "ObjectAcl", "ObjectAttributes", "ObjectTagging", "ObjectVersion")),
        ("Get", ("ObjectVersionAcl", "ObjectVersionAttributes", "ObjectVersionTagging")),
    )
    for name in names
)
_VERSIONED: Final = frozenset(
    f"s3:{verb}ObjectVersion{name}"
    for verb, names in (
        ("Delete", ("", "Tagging")),
        ("Get", ("", "Acl", "Attributes", "Tagging", "Torrent")),
        ("Put", ("Acl", "Tagging")),
    )
    for name in names
)
_CARRIERS: Final[dict[str, frozenset[str]]] = {
    "s3:delimiter": _LISTS,
    "s3:existingobjecttag/": _OLD_TAGS,
    "s3:if-match": frozenset({"s3:DeleteObject", "s3:PutObject"}),
    "s3:if-none-match": frozenset({"s3:PutObject"}),
    "s3:locationconstraint": frozenset({"s3:CreateAccessPoint", "s3:CreateBucket"}),
    "s3:max-keys": _LISTS,
    "s3:object-lock-legal-hold": frozenset({"s3:PutObject", "s3:PutObjectLegalHold"}),
    "s3:object-lock-mode": _RETENTION,
    "s3:object-lock-remaining-retention-days": _RETENTION,
    "s3:object-lock-retain-until-date": _RETENTION,
    "s3:objectcreationoperation": frozenset({"s3:PutObject"}),
    "s3:prefix": _LISTS,
    "s3:requestobjecttag/": _NEW_TAGS,
    "s3:requestobjecttagkeys": _NEW_TAGS,
    "s3:versionid": _VERSIONED,
    "s3:x-amz-acl": _ACLS,
    "s3:x-amz-copy-source": _WRITES,
    "s3:x-amz-grant-full-control": _ACLS,
    "s3:x-amz-grant-read": _ACLS,
    "s3:x-amz-grant-read-acp": _ACLS,
    "s3:x-amz-grant-write": _ACLS,
    "s3:x-amz-grant-write-acp": _ACLS,
    "s3:x-amz-metadata-directive": _WRITES,
    "s3:x-amz-object-ownership": frozenset({"s3:CreateBucket"}),
    "s3:x-amz-server-side-encryption": _ENCRYPTED_WRITES,
    "s3:x-amz-server-side-encryption-aws-kms-key-id": _ENCRYPTED_WRITES,
    "s3:x-amz-server-side-encryption-customer-algorithm": _ENCRYPTED_WRITES,
    "s3:x-amz-storage-class": _WRITES | {"s3:PutObjectAcl", "s3:PutObjectVersionAcl"},
    "s3:x-amz-website-redirect-location": _WRITES,
}


def carriers(key: str) -> frozenset[str] | None:
    """The actions whose requests may have a key, as `canonical_key` gives it; None: any."""
    stem, slash, _ = key.partition("/")
    return _CARRIERS.get(stem + slash)
