"""Changes to Celery and kombu: checks of messages, options and remote commands, and tolerance of outages."""
