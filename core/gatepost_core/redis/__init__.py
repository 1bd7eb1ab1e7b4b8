"""Connections to Redis, their errors, and the names of keys."""
