"""Everything that changes or restricts Celery and kombu."""
