"""The HTTP API: messages, logins, campaigns. It holds the sealing keys and knows no browser."""
