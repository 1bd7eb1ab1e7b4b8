"""`gatepost demo`: sends, logins and a campaign once, with real processes. Two workers are killed, and the counts must still add up."""
