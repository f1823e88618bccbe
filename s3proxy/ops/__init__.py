"""The S3 operations."""
