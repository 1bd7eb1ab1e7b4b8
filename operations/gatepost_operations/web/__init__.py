"""Ways in over HTTP, in two roles: the api holds the sealing keys, and the console holds the browser sessions."""
