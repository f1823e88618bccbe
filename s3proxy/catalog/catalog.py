"""The catalog: one object that answers for everything the gateway knows.

It only joins its tables; each method is documented where it is written. Reads are synchronous and
see the last commit; writes return when they are durable. A write that is cancelled happens all the
same.
"""

import secrets
import time
from collections.abc import Callable

from s3proxy.catalog.access_keys import AccessKeyTable
from s3proxy.catalog.attributes import AttributesTable
from s3proxy.catalog.bucket_configs import BucketConfigTable
from s3proxy.catalog.buckets import BucketTable
from s3proxy.catalog.completion import CompletionTable
from s3proxy.catalog.containers import ContainerTable
from s3proxy.catalog.copies import CopyTable
from s3proxy.catalog.counting import CountingTable
from s3proxy.catalog.data_keys import DataKeys
from s3proxy.catalog.debts import DebtTable
from s3proxy.catalog.deployment import DeploymentTable
from s3proxy.catalog.describing import ManifestTable
from s3proxy.catalog.expiry import ExpiryTable
from s3proxy.catalog.garbage import GarbageTable
from s3proxy.catalog.intents import IntentTable
from s3proxy.catalog.marks import MarkTable
from s3proxy.catalog.objects import ObjectTable
from s3proxy.catalog.outbox import OutboxTable
from s3proxy.catalog.progress import ProgressTable
from s3proxy.catalog.rebuilding import RebuildTable
from s3proxy.catalog.resealing import Resealer
from s3proxy.catalog.seal import Sealer
from s3proxy.catalog.settling import SettlingTable
from s3proxy.catalog.tables import KEYSPACES
from s3proxy.catalog.tenants import TenantTable
from s3proxy.catalog.tokens import TokenTable
from s3proxy.catalog.transfers import TransferTable
from s3proxy.catalog.upload_listing import UploadLister
from s3proxy.catalog.uploads import UploadTable
from s3proxy.catalog.users import UserTable
from s3proxy.catalog.version_listing import VersionLister
from s3proxy.kv.engine import Engine

# A reader that found a blob's name may open it on the backend this much later.
GARBAGE_DELAY_S = 60.0


class Catalog:
    """Buckets, objects, uploads, users, intents and garbage on one engine.

    Args:
        engine: its keyspaces are made here; the service runs and closes it.
        seal: opens and closes the secrets of access keys, and data keys.
        gateway: names this process in its intents; random by default.
        now_ns: the clock.
        garbage_delay_s: how long a blob outlives the last record that points at it.
    """

    def __init__(
        self,
        engine: Engine,
        seal: Sealer,
        *,
        gateway: str = "",
        now_ns: Callable[[], int] = time.time_ns,
        garbage_delay_s: float = GARBAGE_DELAY_S,
    ) -> None:
        engine.open_keyspaces(KEYSPACES)
        self.engine = engine
        self._join_deployment(DeploymentTable(engine))
        self.gateway = gateway or secrets.token_hex(8)
        garbage = GarbageTable(engine, now_ns, int(garbage_delay_s * 1e9))
        self._join_buckets(BucketTable(engine), AttributesTable(engine), BucketConfigTable(engine))
        self._join_containers(ContainerTable(engine))
        data_keys = DataKeys(seal)
        objects = ObjectTable(engine, now_ns, garbage.due_ns, data_keys)
        self._join_objects(objects, VersionLister(engine))
        self._join_walks(ExpiryTable(engine, now_ns, garbage.due_ns), ProgressTable(engine))
        self._join_blobs(garbage, IntentTable(engine, now_ns, garbage.due_ns, self.gateway))
        self._join_uploads(
            UploadTable(engine, now_ns, garbage.due_ns, data_keys),
            UploadLister(engine),
            CompletionTable(engine, now_ns, garbage.due_ns, data_keys),
        )
        self._join_debts(CopyTable(engine), DebtTable(engine, now_ns, self.gateway))
        self._join_settling(
            SettlingTable(engine, now_ns, garbage.due_ns),
            TransferTable(engine, now_ns, garbage.due_ns, self.gateway),
        )
        self._join_manifests(ManifestTable(engine), RebuildTable(engine, garbage.due_ns))
        self._join_marks(MarkTable(engine))
        self._join_events(OutboxTable(engine))
        self._join_tenants(TenantTable(engine, now_ns), TokenTable(engine, now_ns))
        self._join_counting(CountingTable(engine))
        self._join_users(UserTable(engine, now_ns), AccessKeyTable(engine, seal, now_ns))
        self.seal_data_key = data_keys.seal_data_key
        self.unseal_data_key = data_keys.unseal_data_key
        self.renewed = data_keys.renewed
        resealer = Resealer(engine, seal, data_keys)
        self.reseal = resealer.reseal
        self.count_stale = resealer.count_stale

    def _join_deployment(self, deployment: DeploymentTable) -> None:
        self.container_seed = deployment.container_seed
        self.backup_upload = deployment.backup_upload
        self.note_backup_upload = deployment.note_backup_upload

    def _join_buckets(
        self, buckets: BucketTable, attributes: AttributesTable, configs: BucketConfigTable
    ) -> None:
        self.get_bucket = buckets.get_bucket
        self.list_buckets = buckets.list_buckets
        self.scan_buckets = buckets.scan_buckets
        self.create_bucket = buckets.create_bucket
        self.update_bucket = buckets.update_bucket
        self.delete_bucket = buckets.delete_bucket
        self.is_empty = buckets.is_empty
        self.get_bucket_config = configs.get_bucket_config
        self.list_bucket_configs = configs.list_bucket_configs
        self.all_bucket_configs = configs.all_bucket_configs
        self.put_bucket_config = configs.put_bucket_config
        self.delete_bucket_config = configs.delete_bucket_config
        self.get_attributes = attributes.get_attributes
        self.put_attributes = attributes.put_attributes
        self.delete_attributes = attributes.delete_attributes

    def _join_containers(self, containers: ContainerTable) -> None:
        self.bucket_of_container = containers.bucket_of_container
        self.claim_container = containers.claim_container
        self.disown_container = containers.disown_container
        self.adopt_containers = containers.adopt_containers
        self.leave_backend = containers.leave_backend
        self.leftover_containers = containers.leftover_containers
        self.forget_container = containers.forget_container

    def _join_walks(self, expiry: ExpiryTable, progress: ProgressTable) -> None:
        self.expire_versions = expiry.expire_versions
        self.move_version = expiry.move_version
        self.get_progress = progress.get_progress
        self.put_progress = progress.put_progress
        self.begin_walk = progress.begin_walk

    def _join_objects(self, objects: ObjectTable, lister: VersionLister) -> None:
        self.get_object = objects.get_object
        self.get_object_with_inline = objects.get_object_with_inline
        self.get_latest = objects.get_latest
        self.get_inline = objects.get_inline
        self.scan_objects = objects.scan_objects
        self.list_page = objects.list_page
        self.list_versions = lister.list_versions
        self.put_object = objects.put_object
        self.update_object = objects.update_object
        self.delete_object = objects.delete_object
        self.delete_objects = objects.delete_objects

    def _join_blobs(self, garbage: GarbageTable, intents: IntentTable) -> None:
        self.due_garbage = garbage.due_garbage
        self.forget_garbage = garbage.forget_garbage
        self.postpone_garbage = garbage.postpone_garbage
        self.add_garbage = garbage.add_garbage
        self.count_garbage = garbage.count_garbage
        self.intend = intents.intend
        self.open_intents = intents.open_intents
        self.drop_intent = intents.drop_intent
        self.forget_intents = intents.forget_intents

    def _join_uploads(
        self, uploads: UploadTable, lister: UploadLister, completion: CompletionTable
    ) -> None:
        self.create_upload = uploads.create_upload
        self.get_upload = uploads.get_upload
        self.put_part = uploads.put_part
        self.get_part = uploads.get_part
        self.list_parts = uploads.list_parts
        self.abort_upload = uploads.abort_upload
        self.list_uploads = lister.list_uploads
        self.complete_upload = completion.complete_upload
        self.get_completed = completion.get_completed
        self.sweep_completed = completion.sweep_completed

    def _join_debts(self, copies: CopyTable, debts: DebtTable) -> None:
        self.places_of = copies.places_of
        self.get_copies = copies.get_copies
        self.get_debt = debts.get_debt
        self.due_debts = debts.due_debts
        self.has_due_debts = debts.has_due_debts
        self.next_debt_ns = debts.next_debt_ns
        self.list_debts = debts.list_debts
        self.debt_counts = debts.debt_counts
        self.claim_debts = debts.claim_debts
        self.release_debts = debts.release_debts
        self.retry_debts = debts.retry_debts

    def _join_settling(self, settling: SettlingTable, transfers: TransferTable) -> None:
        self.add_debts = settling.add_debts
        self.settle_debt = settling.settle_debt
        self.remove_place = settling.remove_place
        self.begin_transfer = transfers.begin_transfer
        self.copied_parts = transfers.copied_parts
        self.keep_copied_part = transfers.keep_copied_part
        self.end_transfer = transfers.end_transfer
        self.drop_transfer = transfers.drop_transfer

    def _join_manifests(self, manifests: ManifestTable, rebuilding: RebuildTable) -> None:
        self.due_manifests = manifests.due_manifests
        self.count_due_manifests = manifests.count_due_manifests
        self.settle_manifests = manifests.settle_manifests
        self.bucket_manifest = manifests.bucket_manifest
        self.version_manifest = manifests.version_manifest
        self.note_versions = manifests.note_versions
        self.note_sealed_manifests = manifests.note_sealed
        self.note_stale_manifests = manifests.note_stale
        self.adopt_bucket = rebuilding.adopt_bucket
        self.adopt_version = rebuilding.adopt_version
        self.adopt_place = rebuilding.adopt_place
        self.drop_unknown = rebuilding.drop_unknown

    def _join_counting(self, counting: CountingTable) -> None:
        self.get_usage = counting.get_usage
        self.get_tenant_usage = counting.get_tenant_usage
        self.list_usage = counting.list_usage
        self.require_room = counting.require_room
        self.require_part_room = counting.require_part_room
        self.set_bucket_quota = counting.set_bucket_quota
        self.set_tenant_quota = counting.set_tenant_quota
        self.recount = counting.recount
        self.is_counting = counting.is_counting
        self.count_step = counting.count_step
        self.on_counting = counting.on_counting

    def _join_marks(self, marks: MarkTable) -> None:
        self.get_mark = marks.get_mark
        self.put_mark = marks.put_mark
        self.draining = marks.draining
        self.draining_since = marks.draining_since
        self.set_draining = marks.set_draining

    def _join_events(self, outbox: OutboxTable) -> None:
        self.pending_events = outbox.pending_events
        self.dead_events = outbox.dead_events
        self.event_counts = outbox.event_counts
        self.settle_events = outbox.settle_events
        self.retry_events = outbox.retry_events
        self.drop_dead_events = outbox.drop_dead_events

    def _join_tenants(self, tenants: TenantTable, tokens: TokenTable) -> None:
        self.get_tenant = tenants.get_tenant
        self.list_tenants = tenants.list_tenants
        self.create_tenant = tenants.create_tenant
        self.update_tenant = tenants.update_tenant
        self.set_tenant_enabled = tenants.set_tenant_enabled
        self.get_tenant_to_delete = tenants.get_tenant_to_delete
        self.delete_tenant = tenants.delete_tenant
        self.create_token = tokens.create_token
        self.get_token = tokens.get_token
        self.list_tokens = tokens.list_tokens
        self.delete_token = tokens.delete_token

    def _join_users(self, users: UserTable, access_keys: AccessKeyTable) -> None:
        self.create_user = users.create_user
        self.get_user = users.get_user
        self.get_user_by_id = users.get_user_by_id
        self.get_user_policy = users.get_user_policy
        self.set_user_policy = users.set_user_policy
        self.set_user_enabled = users.set_user_enabled
        self.get_user_to_delete = users.get_user_to_delete
        self.delete_user = users.delete_user
        self.list_users = users.list_users
        self.index_keys = access_keys.index_keys
        self.create_key = access_keys.create_key
        self.get_key = access_keys.get_key
        self.unseal = access_keys.unseal
        self.list_keys = access_keys.list_keys
        self.list_tenant_keys = access_keys.list_tenant_keys
        self.set_key_enabled = access_keys.set_key_enabled
        self.set_key_limits = access_keys.set_key_limits
        self.delete_key = access_keys.delete_key
