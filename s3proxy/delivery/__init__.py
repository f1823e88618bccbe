"""Telling others of events: queues, topics and webhooks that the operator has configured."""
