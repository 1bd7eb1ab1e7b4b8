"""Enqueue Auth0 passwordless sends and logins, and read their outcomes."""
