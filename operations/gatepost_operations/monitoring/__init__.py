"""The metrics of the fleet, read from Redis and the broker."""
