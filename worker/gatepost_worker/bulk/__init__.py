"""Sends a campaign batch by batch: task, lease, work, sending, store; and the sweep."""
