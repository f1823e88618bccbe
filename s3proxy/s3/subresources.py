"""The table of S3's sub-resources: which parameter, level and method is which operation.

Every sub-resource AWS documents is here, also those this gateway does not have: a request for one
of these is answered NotImplemented with its name. Left out of the table, `PUT /bucket/key?acl`
would overwrite the object.
Source: Amazon S3 API Reference, "Actions"; botocore's service model.
"""

from typing import Final


def _configuration(noun: str, *, methods: str = "GET PUT DELETE") -> dict[str, str]:
    """The usual trio: get_, put_ and delete_ of one bucket configuration."""
    verbs = {"GET": "get_", "PUT": "put_", "DELETE": "delete_"}
    return {method: verbs[method] + noun for method in methods.split()}


BUCKET: Final[dict[str, dict[str, str]]] = {
    "abac": _configuration("bucket_abac", methods="GET PUT"),
    "accelerate": _configuration("bucket_accelerate_configuration", methods="GET PUT"),
    "acl": _configuration("bucket_acl", methods="GET PUT"),
    "analytics": _configuration("bucket_analytics_configuration"),
    "cors": _configuration("bucket_cors"),
    "delete": {"POST": "delete_objects"},
    "encryption": _configuration("bucket_encryption"),
    "intelligent-tiering": _configuration("bucket_intelligent_tiering_configuration"),
    "inventory": _configuration("bucket_inventory_configuration"),
    "lifecycle": {
        "GET": "get_bucket_lifecycle_configuration",
        "PUT": "put_bucket_lifecycle_configuration",
        "DELETE": "delete_bucket_lifecycle",
    },
    "location": {"GET": "get_bucket_location"},
    "logging": _configuration("bucket_logging", methods="GET PUT"),
    "metadataAnnotationTable": {
        "PUT": "update_bucket_metadata_annotation_table_configuration",
    },
    "metadataConfiguration": {
        "GET": "get_bucket_metadata_configuration",
        "POST": "create_bucket_metadata_configuration",
        "DELETE": "delete_bucket_metadata_configuration",
    },
    "metadataInventoryTable": {
        "PUT": "update_bucket_metadata_inventory_table_configuration",
    },
    "metadataJournalTable": {
        "PUT": "update_bucket_metadata_journal_table_configuration",
    },
    "metadataTable": {
        "GET": "get_bucket_metadata_table_configuration",
        "POST": "create_bucket_metadata_table_configuration",
        "DELETE": "delete_bucket_metadata_table_configuration",
    },
    "metrics": _configuration("bucket_metrics_configuration"),
    "notification": _configuration("bucket_notification_configuration", methods="GET PUT"),
    "object-lock": _configuration("object_lock_configuration", methods="GET PUT"),
    "ownershipControls": _configuration("bucket_ownership_controls"),
    "policy": _configuration("bucket_policy"),
    "policyStatus": {"GET": "get_bucket_policy_status"},
    "publicAccessBlock": _configuration("public_access_block"),
    "replication": _configuration("bucket_replication"),
    "requestPayment": _configuration("bucket_request_payment", methods="GET PUT"),
    "session": {"GET": "create_session"},
    "tagging": _configuration("bucket_tagging"),
    "uploads": {"GET": "list_multipart_uploads"},
    "versioning": _configuration("bucket_versioning", methods="GET PUT"),
    "versions": {"GET": "list_object_versions"},
    "website": _configuration("bucket_website"),
}

OBJECT: Final[dict[str, dict[str, str]]] = {
    "acl": _configuration("object_acl", methods="GET PUT"),
    "annotation": _configuration("object_annotation"),
    "append": {"POST": "append_object"},
    "attributes": {"GET": "get_object_attributes"},
    "encryption": {"PUT": "update_object_encryption"},
    "legal-hold": _configuration("object_legal_hold", methods="GET PUT"),
    "renameObject": {"PUT": "rename_object"},
    "restore": {"POST": "restore_object"},
    "retention": _configuration("object_retention", methods="GET PUT"),
    "select": {"POST": "select_object_content"},
    "tagging": _configuration("object_tagging"),
    "torrent": {"GET": "get_object_torrent"},
    "uploadId": {
        "GET": "list_parts",
        "PUT": "upload_part",
        "POST": "complete_multipart_upload",
        "DELETE": "abort_multipart_upload",
    },
    "uploads": {"POST": "create_multipart_upload"},
}

# The upload of a browser, whose signature is in its form.
POST_OBJECT: Final = "post_object"

# What a request without a sub-resource means.
SERVICE_METHODS: Final[dict[str, str]] = {"GET": "list_buckets"}
BUCKET_METHODS: Final[dict[str, str]] = {
    "GET": "list_objects",
    "HEAD": "head_bucket",
    "PUT": "create_bucket",
    "DELETE": "delete_bucket",
    "POST": POST_OBJECT,
}
OBJECT_METHODS: Final[dict[str, str]] = {
    "GET": "get_object",
    "HEAD": "head_object",
    "PUT": "put_object",
    "DELETE": "delete_object",
}

# Operations on configurations of which there is one state, and those that delete what is not there.
SETTLED: Final = frozenset(
    {
        "delete_bucket_analytics_configuration",
        "delete_bucket_intelligent_tiering_configuration",
        "delete_bucket_metrics_configuration",
        "delete_bucket_replication",
        "get_bucket_abac",
        "get_bucket_accelerate_configuration",
        "get_bucket_analytics_configuration",
        "get_bucket_intelligent_tiering_configuration",
        "get_bucket_metrics_configuration",
        "get_bucket_replication",
        "get_bucket_request_payment",
        "put_bucket_abac",
        "put_bucket_accelerate_configuration",
        "put_bucket_request_payment",
    }
)

# Operations on what decides on access: policies, ACLs, ownership, public access.
ACCESS: Final = frozenset(
    {
        *("get_bucket_acl", "get_object_acl", "put_bucket_acl", "put_object_acl"),
        *("delete_bucket_policy", "get_bucket_policy", "get_bucket_policy_status"),
        "put_bucket_policy",
        *(f"{verb}_bucket_ownership_controls" for verb in ("delete", "get", "put")),
        *(f"{verb}_public_access_block" for verb in ("delete", "get", "put")),
    }
)

# Documents that are kept as they were put.
CONFIGURATIONS: Final = frozenset(
    f"{verb}_bucket_{name}"
    for name in ("cors", "encryption", "tagging", "website")
    for verb in ("get", "put", "delete")
)

IMPLEMENTED: Final = frozenset(
    {
        *ACCESS,
        *CONFIGURATIONS,
        *SETTLED,
        "abort_multipart_upload",
        "complete_multipart_upload",
        "copy_object",
        "create_bucket",
        "create_multipart_upload",
        "delete_bucket",
        "delete_bucket_inventory_configuration",
        "delete_bucket_lifecycle",
        "delete_object",
        "delete_object_tagging",
        "delete_objects",
        "get_bucket_inventory_configuration",
        "get_bucket_lifecycle_configuration",
        "get_bucket_location",
        "get_bucket_logging",
        "get_bucket_notification_configuration",
        "get_bucket_versioning",
        "get_object",
        "get_object_attributes",
        "get_object_legal_hold",
        "get_object_lock_configuration",
        "get_object_retention",
        "get_object_tagging",
        "head_bucket",
        "head_object",
        "list_buckets",
        "list_multipart_uploads",
        "list_object_versions",
        "list_objects",
        "list_objects_v2",
        "list_parts",
        "put_bucket_inventory_configuration",
        "put_bucket_lifecycle_configuration",
        "put_bucket_logging",
        "put_bucket_notification_configuration",
        "put_bucket_versioning",
        POST_OBJECT,
        "put_object",
        "put_object_legal_hold",
        "put_object_lock_configuration",
        "put_object_retention",
        "put_object_tagging",
        "upload_part",
        "upload_part_copy",
    }
)

# Parameters that may stand in a write without a value and mean nothing on their own.
KNOWN_PARAMETERS: Final = frozenset(
    {"partNumber", "prefix", "delimiter", "marker", "select-type", "versionId", "x-id"}
)


def action_name(operation: str) -> str:
    """AWS's name of an operation: `get_bucket_acl` is GetBucketAcl."""
    return "".join(word.capitalize() for word in operation.split("_"))
