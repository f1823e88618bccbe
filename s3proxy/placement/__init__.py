"""Policy: which backend holds a new blob."""
