"""Timestamps of SigV4, for the compiled modules (see the `.pxd`)."""
