"""What the gateway knows: users, access keys, buckets, objects, uploads, blobs."""
