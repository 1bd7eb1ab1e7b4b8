"""Batches of a campaign: lease, send, settle, sweep."""
