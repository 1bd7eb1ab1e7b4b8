"""Webhooks: the events, the endpoints that get them, and the record of their delivery."""
