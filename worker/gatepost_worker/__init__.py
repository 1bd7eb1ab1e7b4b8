"""The Celery side of Gatepost: workers that call Auth0's Authentication API."""
