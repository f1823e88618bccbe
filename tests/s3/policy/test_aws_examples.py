"""The examples of AWS's documentation, each with requests that it is about.

Source: Amazon S3 User Guide, "Examples of Amazon S3 bucket policies", "Identity-based policy
examples for Amazon S3", "Bucket policy examples using condition keys"; IAM User Guide, "Example
policies". The documents here are our own, of the same meaning.
"""

import pytest

from s3proxy.s3.policy import is_public
from tests.s3.policies import ALICE, ARN, BOB, BUCKET, allow, ask, bucket_policy, deny, user_policy

OBJECTS = f"{ARN}/*"


def test_example_read_only_permission_for_an_anonymous_user() -> None:
    policy = bucket_policy(allow("s3:GetObject", OBJECTS), version="2008-10-17")
    assert ask(policy, "s3:GetObject", "/key", None) == "Allow"
    assert ask(policy, "s3:GetObject", "/key") == "Allow"
    assert ask(policy, "s3:GetObjectVersion", "/key", None) == "none"
    assert ask(policy, "s3:ListBucket", "", None) == "none"
    assert is_public(policy)


def test_example_grant_permissions_to_multiple_accounts() -> None:
    principal = {"AWS": ["arn:aws:iam::2222:root", "arn:aws:iam::444455556666:root"]}
    policy = bucket_policy(allow(["s3:PutObject", "s3:PutObjectAcl"], OBJECTS, Principal=principal))
    assert ask(policy, "s3:PutObject", "/key", BOB) == "Allow"
    assert ask(policy, "s3:PutObjectAcl", "/key", BOB) == "Allow"
    assert ask(policy, "s3:PutObject", "/key", ALICE) == "none"
    assert ask(policy, "s3:PutObject", "/key", None) == "none"
    assert not is_public(policy)


def test_example_require_bucket_owner_full_control() -> None:
    elements = {"Principal": {"AWS": "2222"}}
    wanted = {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}
    policy = bucket_policy(allow("s3:PutObject", OBJECTS, **elements, Condition=wanted))
    acl = {"s3:x-amz-acl": "bucket-owner-full-control"}
    assert ask(policy, "s3:PutObject", "/key", BOB, acl) == "Allow"
    assert ask(policy, "s3:PutObject", "/key", BOB, {"s3:x-amz-acl": "private"}) == "none"
    assert ask(policy, "s3:PutObject", "/key", BOB) == "none"


def test_example_grant_full_control_with_an_explicit_deny() -> None:
    principal = {"AWS": "arn:aws:iam::123456789012:user/bob"}
    grant = "s3:x-amz-grant-full-control"
    policy = bucket_policy(
        allow("s3:PutObject", OBJECTS, Principal=principal),
        deny(
            "s3:PutObject",
            OBJECTS,
            Principal=principal,
            Condition={"StringNotEquals": {grant: "id=1111"}},
        ),
    )
    assert ask(policy, "s3:PutObject", "/key", BOB, {grant: "id=1111"}) == "Allow"
    assert ask(policy, "s3:PutObject", "/key", BOB, {grant: "id=2222"}) == "Deny"
    assert ask(policy, "s3:PutObject", "/key", BOB) == "Deny"
    assert ask(policy, "s3:PutObject", "/key", ALICE) == "none"


def test_example_require_sse_kms_for_all_objects() -> None:
    missing = {"Null": {"s3:x-amz-server-side-encryption-aws-kms-key-id": "true"}}
    policy = bucket_policy(deny("s3:PutObject", OBJECTS, Condition=missing))
    key = {"s3:x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:r:1:key/k"}
    assert ask(policy, "s3:PutObject", "/key", context=key) == "none"
    assert ask(policy, "s3:PutObject", "/key") == "Deny"


def test_example_require_sse_s3_by_header() -> None:
    header = "s3:x-amz-server-side-encryption"
    policy = bucket_policy(
        deny("s3:PutObject", OBJECTS, Condition={"StringNotEquals": {header: "AES256"}}),
        deny("s3:PutObject", OBJECTS, Condition={"Null": {header: "true"}}),
    )
    assert ask(policy, "s3:PutObject", "/key", context={header: "AES256"}) == "none"
    assert ask(policy, "s3:PutObject", "/key", context={header: "aws:kms"}) == "Deny"
    assert ask(policy, "s3:PutObject", "/key") == "Deny"


def test_example_restrict_ssec_uploads() -> None:
    header = "s3:x-amz-server-side-encryption-customer-algorithm"
    policy = bucket_policy(deny("s3:PutObject", OBJECTS, Condition={"Null": {header: False}}))
    assert ask(policy, "s3:PutObject", "/key", context={header: "AES256"}) == "Deny"
    assert ask(policy, "s3:PutObject", "/key") == "none"


def test_example_restrict_access_to_specific_ip_addresses() -> None:
    outside = {"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}
    policy = bucket_policy(deny("s3:*", [ARN, OBJECTS], Condition=outside))
    assert ask(policy, "s3:GetObject", "/key", context={"aws:SourceIp": "192.0.2.7"}) == "none"
    assert ask(policy, "s3:GetObject", "/key", context={"aws:SourceIp": "192.0.3.7"}) == "Deny"
    assert ask(policy, "s3:ListBucket", "", context={"aws:SourceIp": "2001:db8::1"}) == "Deny"
    assert ask(policy, "s3:GetObject", "/key") == "Deny"


def test_example_allow_ipv4_and_ipv6_ranges_but_one_address() -> None:
    ranges = ["192.0.2.0/24", "2001:db8:1234:5678::/64"]
    condition = {
        "IpAddress": {"aws:SourceIp": ranges},
        "NotIpAddress": {"aws:SourceIp": ["192.0.2.188/32", "2001:db8:1234:5678:abcd::1"]},
    }
    policy = bucket_policy(allow("s3:*", OBJECTS, Condition=condition))
    for address, answer in (
        ("192.0.2.1", "Allow"),
        ("192.0.2.188", "none"),
        ("2001:DB8:1234:5678::1", "Allow"),
        ("2001:db8:1234:5678:abcd::1", "none"),
        ("198.51.100.1", "none"),
    ):
        assert ask(policy, "s3:GetObject", "/k", None, {"aws:SourceIp": address}) == answer
    assert not is_public(policy)


def test_example_restrict_access_to_a_specific_http_referer() -> None:
    sites = ["http://www.example.com/*", "http://example.com/*"]
    policy = bucket_policy(
        allow(
            ["s3:GetObject", "s3:GetObjectVersion"],
            OBJECTS,
            Condition={"StringLike": {"aws:Referer": sites}},
        )
    )
    page = {"aws:Referer": "http://www.example.com/page.html"}
    assert ask(policy, "s3:GetObject", "/photo.jpg", None, page) == "Allow"
    assert ask(policy, "s3:GetObject", "/photo.jpg", None, {"aws:Referer": "http://x/"}) == "none"
    assert ask(policy, "s3:GetObject", "/photo.jpg", None) == "none"
    # Anyone can send a Referer.
    assert is_public(policy)


def test_example_user_access_to_a_specific_folder() -> None:
    policy = user_policy(
        allow(["s3:PutObject", "s3:GetObject", "s3:GetObjectVersion"], f"{ARN}/home/alice/*")
    )
    assert ask(policy, "s3:GetObject", "/home/alice/notes.txt") == "Allow"
    assert ask(policy, "s3:GetObject", "/home/alice") == "none"
    assert ask(policy, "s3:GetObject", "/home/bob/notes.txt") == "none"
    assert ask(policy, "s3:DeleteObject", "/home/alice/notes.txt") == "none"


def test_example_home_folders_by_user_name() -> None:
    policy = user_policy(
        allow("s3:ListAllMyBuckets", "*"),
        allow(
            "s3:ListBucket",
            ARN,
            Condition={"StringLike": {"s3:prefix": ["", "home/", "home/${aws:username}/*"]}},
        ),
        allow("s3:*", [f"{ARN}/home/${{aws:username}}", f"{ARN}/home/${{aws:username}}/*"]),
    )
    assert ask(policy, "s3:ListAllMyBuckets", "arn:aws:s3:::*") == "Allow"
    assert ask(policy, "s3:ListBucket", "", ALICE, {"s3:prefix": ""}) == "Allow"
    assert ask(policy, "s3:ListBucket", "", ALICE, {"s3:prefix": "home/alice/x"}) == "Allow"
    assert ask(policy, "s3:ListBucket", "", BOB, {"s3:prefix": "home/alice/x"}) == "none"
    assert ask(policy, "s3:ListBucket", "", ALICE) == "none"
    assert ask(policy, "s3:PutObject", "/home/alice/x", ALICE) == "Allow"
    assert ask(policy, "s3:PutObject", "/home/alice/x", BOB) == "none"


def test_example_list_a_prefix_with_a_delimiter() -> None:
    listing = {"StringEquals": {"s3:prefix": ["", "projects"], "s3:delimiter": ["/"]}}
    policy = bucket_policy(
        allow("s3:ListBucket", ARN, Principal={"AWS": "1111"}, Condition=listing)
    )
    root = {"s3:prefix": "", "s3:delimiter": "/"}
    assert ask(policy, "s3:ListBucket", "", ALICE, root) == "Allow"
    assert ask(policy, "s3:ListBucket", "", ALICE, {"s3:prefix": ""}) == "none"
    assert ask(policy, "s3:ListBucket", "", ALICE, {**root, "s3:prefix": "projects/"}) == "none"


def test_example_get_a_limited_listing_deny_outside_of_prefix() -> None:
    policy = bucket_policy(
        allow("s3:ListBucket", ARN, Condition={"StringEquals": {"s3:prefix": "projects"}}),
        deny("s3:ListBucket", ARN, Condition={"StringNotEquals": {"s3:prefix": "projects"}}),
    )
    assert ask(policy, "s3:ListBucket", "", ALICE, {"s3:prefix": "projects"}) == "Allow"
    assert ask(policy, "s3:ListBucket", "", ALICE, {"s3:prefix": "finance"}) == "Deny"
    assert ask(policy, "s3:ListBucket") == "Deny"


def test_example_limit_the_number_of_keys_of_a_listing() -> None:
    policy = bucket_policy(
        allow("s3:ListBucket", ARN),
        deny("s3:ListBucket", ARN, Condition={"NumericGreaterThan": {"s3:max-keys": 10}}),
    )
    assert ask(policy, "s3:ListBucket", "", ALICE, {"s3:max-keys": "10"}) == "Allow"
    assert ask(policy, "s3:ListBucket", "", ALICE, {"s3:max-keys": "11"}) == "Deny"


def test_example_allow_only_https_requests() -> None:
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    policy = bucket_policy(deny("s3:*", [ARN, OBJECTS], Condition=insecure))
    assert ask(policy, "s3:GetObject", "/k", None, {"aws:SecureTransport": "false"}) == "Deny"
    assert ask(policy, "s3:GetObject", "/k", None, {"aws:SecureTransport": "true"}) == "none"


def test_example_require_a_minimum_tls_version() -> None:
    old = {"NumericLessThan": {"s3:TlsVersion": 1.2}}
    policy = bucket_policy(
        allow(["s3:PutObject", "s3:GetObject"], OBJECTS),
        deny(["s3:PutObject", "s3:GetObject"], OBJECTS, Condition=old),
    )
    for version, answer in (("1.1", "Deny"), ("1.2", "Allow"), ("1.3", "Allow")):
        assert ask(policy, "s3:GetObject", "/k", None, {"s3:TlsVersion": version}) == answer


def test_example_read_only_objects_with_a_tag() -> None:
    finance = {"StringEquals": {"s3:ExistingObjectTag/environment": "production"}}
    actions = ["s3:GetObject", "s3:GetObjectVersion"]
    policy = bucket_policy(allow(actions, OBJECTS, Condition=finance))
    tag = "s3:existingobjecttag/environment"
    assert ask(policy, "s3:GetObject", "/k", None, {tag: "production"}) == "Allow"
    assert ask(policy, "s3:GetObject", "/k", None, {tag: "test"}) == "none"
    assert ask(policy, "s3:GetObject", "/k", None) == "none"
    # A tag's key has its case: this is another tag.
    other = {"s3:existingobjecttag/Environment": "production"}
    assert ask(policy, "s3:GetObject", "/k", None, other) == "none"


def test_example_restrict_which_tag_keys_can_be_added() -> None:
    keys = {"ForAllValues:StringLike": {"s3:RequestObjectTagKeys": ["Owner", "Creation*"]}}
    policy = user_policy(allow("s3:PutObjectTagging", OBJECTS, Condition=keys))
    name = "s3:RequestObjectTagKeys"
    action = "s3:PutObjectTagging"
    assert ask(policy, action, "/k", context={name: ["Owner", "CreationDate"]}) == "Allow"
    assert ask(policy, action, "/k", context={name: ["Owner", "Cost"]}) == "none"
    # No tags: all of them are among these.
    assert ask(policy, action, "/k") == "Allow"


def test_example_require_a_tag_key_and_value() -> None:
    condition = {"StringEquals": {"s3:RequestObjectTag/Project": ["X", "Y"]}}
    policy = user_policy(allow("s3:PutObjectTagging", OBJECTS, Condition=condition))
    tag = "s3:requestobjecttag/Project"
    assert ask(policy, "s3:PutObjectTagging", "/k", context={tag: "Y"}) == "Allow"
    assert ask(policy, "s3:PutObjectTagging", "/k", context={tag: "Z"}) == "none"


def test_example_copy_only_from_a_specific_source() -> None:
    source = f"{BUCKET}/public/*"
    policy = bucket_policy(
        allow("s3:PutObject", OBJECTS, Principal={"AWS": "1111"}),
        deny(
            "s3:PutObject",
            OBJECTS,
            Principal={"AWS": "1111"},
            Condition={"StringNotLike": {"s3:x-amz-copy-source": source}},
        ),
    )
    name = "s3:x-amz-copy-source"
    good = {name: f"{BUCKET}/public/PublicHappyFace1.jpg"}
    assert ask(policy, "s3:PutObject", "/copy", ALICE, good) == "Allow"
    assert ask(policy, "s3:PutObject", "/copy", ALICE, {name: "other/key"}) == "Deny"
    # Neither is it a copy: the key is absent, and what is absent is not like the source.
    assert ask(policy, "s3:PutObject", "/copy", ALICE) == "Deny"


def test_example_read_a_specific_version_only() -> None:
    wanted = {"StringNotEquals": {"s3:VersionId": "AaaHbAQitwiL_h47_44lRO2DDfLlBO5e"}}
    policy = bucket_policy(
        allow("s3:GetObjectVersion", f"{ARN}/HappyFace.jpg"),
        deny("s3:GetObjectVersion", f"{ARN}/HappyFace.jpg", Condition=wanted),
    )
    action, path = "s3:GetObjectVersion", "/HappyFace.jpg"
    right = {"s3:versionid": "AaaHbAQitwiL_h47_44lRO2DDfLlBO5e"}
    assert ask(policy, action, path, ALICE, right) == "Allow"
    assert ask(policy, action, path, ALICE, {"s3:versionid": "null"}) == "Deny"


def test_example_create_buckets_in_one_region_only() -> None:
    policy = user_policy(
        allow(
            "s3:CreateBucket",
            "arn:aws:s3:::*",
            Condition={"StringLike": {"s3:locationconstraint": "sa-east-1"}},
        ),
        deny(
            "s3:CreateBucket",
            "arn:aws:s3:::*",
            Condition={"StringNotLike": {"s3:locationconstraint": "sa-east-1"}},
        ),
    )
    region = "s3:LocationConstraint"
    assert ask(policy, "s3:CreateBucket", "", ALICE, {region: "sa-east-1"}) == "Allow"
    assert ask(policy, "s3:CreateBucket", "", ALICE, {region: "eu-west-1"}) == "Deny"


def test_example_restrict_storage_class() -> None:
    cold = {"StringNotEquals": {"s3:x-amz-storage-class": ["STANDARD_IA", "GLACIER"]}}
    policy = bucket_policy(deny("s3:PutObject", OBJECTS, Condition=cold))
    name = "s3:x-amz-storage-class"
    assert ask(policy, "s3:PutObject", "/k", context={name: "GLACIER"}) == "none"
    assert ask(policy, "s3:PutObject", "/k", context={name: "STANDARD"}) == "Deny"


def test_example_limit_retention_days_of_object_lock() -> None:
    name = "s3:object-lock-remaining-retention-days"
    policy = bucket_policy(
        deny("s3:PutObjectRetention", OBJECTS, Condition={"NumericGreaterThan": {name: "10"}})
    )
    assert ask(policy, "s3:PutObjectRetention", "/k", context={name: "10"}) == "none"
    assert ask(policy, "s3:PutObjectRetention", "/k", context={name: "11"}) == "Deny"


def test_example_enforce_conditional_writes() -> None:
    policy = bucket_policy(
        allow("s3:PutObject", OBJECTS, Condition={"Null": {"s3:if-none-match": "false"}}),
        allow("s3:PutObject", OBJECTS, Condition={"Bool": {"s3:ObjectCreationOperation": False}}),
    )
    creation = "s3:ObjectCreationOperation"
    guarded = {"s3:if-none-match": "*", creation: "true"}
    assert ask(policy, "s3:PutObject", "/k", ALICE, guarded) == "Allow"
    assert ask(policy, "s3:PutObject", "/k", ALICE, {creation: "true"}) == "none"
    assert ask(policy, "s3:PutObject", "/k", ALICE, {creation: "false"}) == "Allow"


def test_example_require_header_authentication_with_signature_version_4() -> None:
    policy = bucket_policy(
        deny("s3:*", OBJECTS, Condition={"StringNotEquals": {"s3:authType": "REST-HEADER"}}),
        deny("s3:*", OBJECTS, Condition={"NumericGreaterThan": {"s3:signatureAge": "600000"}}),
        deny("s3:*", OBJECTS, Condition={"StringEquals": {"s3:signatureversion": "AWS"}}),
    )
    good = {
        "s3:authType": "REST-HEADER",
        "s3:signatureAge": "5",
        "s3:signatureversion": "AWS4-HMAC-SHA256",
    }
    assert ask(policy, "s3:GetObject", "/k", ALICE, good) == "none"
    for changed in (
        {"s3:authType": "REST-QUERY-STRING"},
        {"s3:signatureAge": "600001"},
        {"s3:signatureversion": "AWS"},
    ):
        assert ask(policy, "s3:GetObject", "/k", ALICE, {**good, **changed}) == "Deny"


def test_example_require_mfa() -> None:
    policy = bucket_policy(
        deny("s3:*", f"{ARN}/taxdocuments/*", Condition={"Null": {"aws:MultiFactorAuthAge": True}})
    )
    # Nobody has a device here, so that nobody may.
    assert ask(policy, "s3:GetObject", "/taxdocuments/2012.pdf") == "Deny"
    assert ask(policy, "s3:GetObject", "/other.pdf") == "none"


def test_example_restrict_access_to_a_vpc_endpoint() -> None:
    outside = {"StringNotEquals": {"aws:SourceVpce": "vpce-1a2b3c4d"}}
    policy = bucket_policy(deny("s3:*", [ARN, OBJECTS], Condition=outside))
    assert ask(policy, "s3:GetObject", "/k") == "Deny"


def test_example_cloudfront_origin_access_control() -> None:
    distribution = "arn:aws:cloudfront::111122223333:distribution/EDFDVBD6EXAMPLE"
    policy = bucket_policy(
        allow(
            "s3:GetObject",
            OBJECTS,
            Principal={"Service": "cloudfront.amazonaws.com"},
            Condition={"StringEquals": {"AWS:SourceArn": distribution}},
        )
    )
    for sender in (None, ALICE):
        assert ask(policy, "s3:GetObject", "/k", sender) == "none"
    assert not is_public(policy)


def test_example_delivery_of_access_logs_and_inventory() -> None:
    condition = {
        "ArnLike": {"aws:SourceArn": "arn:aws:s3:::source-*"},
        "StringEquals": {
            "aws:SourceAccount": "123456789012",
            "s3:x-amz-acl": "bucket-owner-full-control",
        },
    }
    policy = bucket_policy(
        allow(
            "s3:PutObject",
            f"{ARN}/logs/*",
            Principal={"Service": ["logging.s3.amazonaws.com", "s3.amazonaws.com"]},
            Condition=condition,
        )
    )
    assert ask(policy, "s3:PutObject", "/logs/x") == "none"
    assert not is_public(policy)


def test_example_members_of_an_organization() -> None:
    policy = bucket_policy(
        allow("s3:GetObject", OBJECTS, Condition={"StringEquals": {"aws:PrincipalOrgID": ["o-1"]}})
    )
    assert ask(policy, "s3:GetObject", "/k") == "none"
    assert not is_public(policy)


def test_example_not_principal_with_deny() -> None:
    policy = bucket_policy(
        deny("s3:*", [ARN, OBJECTS], NotPrincipal={"AWS": "arn:aws:iam::123456789012:user/bob"})
    )
    assert ask(policy, "s3:GetObject", "/k", BOB) == "none"
    assert ask(policy, "s3:GetObject", "/k", ALICE) == "Deny"
    assert ask(policy, "s3:GetObject", "/k", None) == "Deny"


def test_example_not_action_and_not_resource() -> None:
    policy = user_policy(
        {"Effect": "Allow", "NotAction": "s3:DeleteBucket", "Resource": "arn:aws:s3:::*"},
        {"Effect": "Deny", "Action": "s3:*", "NotResource": [ARN, OBJECTS]},
    )
    assert ask(policy, "s3:GetObject", "/k") == "Allow"
    assert ask(policy, "s3:DeleteBucket") == "none"
    assert ask(policy, "s3:GetObject", "arn:aws:s3:::other/k") == "Deny"


def test_example_access_within_dates() -> None:
    condition = {
        "DateGreaterThan": {"aws:CurrentTime": "2020-04-01T00:00:00Z"},
        "DateLessThan": {"aws:CurrentTime": "2020-06-30T23:59:59Z"},
    }
    policy = user_policy(allow("s3:*", "*", Condition=condition))
    now = "aws:CurrentTime"
    assert ask(policy, "s3:GetObject", "/k", ALICE, {now: "2020-05-01T12:00:00Z"}) == "Allow"
    assert ask(policy, "s3:GetObject", "/k", ALICE, {now: "2020-07-01T12:00:00Z"}) == "none"
    assert ask(policy, "s3:GetObject", "/k", ALICE, {now: "2020-04-01T00:00:00Z"}) == "none"


def test_example_variable_with_a_default_value() -> None:
    policy = user_policy(
        allow("s3:GetObject", f"{ARN}/${{s3:ExistingObjectTag/team, 'company-wide'}}/*")
    )
    tag = {"s3:existingobjecttag/team": "yellow"}
    assert ask(policy, "s3:GetObject", "/yellow/k", context=tag) == "Allow"
    assert ask(policy, "s3:GetObject", "/company-wide/k", context=tag) == "none"
    assert ask(policy, "s3:GetObject", "/company-wide/k") == "Allow"


@pytest.mark.parametrize("name", ["*", "a?c", "alice/*"])
def test_variable_with_wildcards_in_its_value_matches_only_itself(name: str) -> None:
    policy = user_policy(allow("s3:GetObject", f"{ARN}/${{aws:username}}/k"))
    context: dict[str, str | list[str]] = {"aws:username": name}
    assert ask(policy, "s3:GetObject", f"/{name}/k", context=context) == "Allow"
    assert ask(policy, "s3:GetObject", "/abc/k", context=context) == "none"
    assert ask(policy, "s3:GetObject", "/alice/x/k", context=context) == "none"
