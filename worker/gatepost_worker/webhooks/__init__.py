"""The delivery of webhooks: the task's run, the rule of retries, and the connection to an endpoint."""
