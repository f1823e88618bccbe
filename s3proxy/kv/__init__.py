"""Ordered, transactional key-value storage."""
