"""Key rotation, erasure, recovery, dead letters and tenants."""
