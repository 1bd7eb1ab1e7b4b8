"""The Celery app, its messages, and their validation."""
