"""The control port: health, readiness, metrics."""
