"""Compiled leaves of the data path: heads, signatures, chunk framing, digests. No I/O."""
