"""How long a campaign takes, the tenant's quota, and progress."""
