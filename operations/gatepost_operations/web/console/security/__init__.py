"""Who may use the console: operators, their access levels, and the protection of their sessions."""
