"""A local Authentication API: the passwordless part of Auth0, faithful enough to test against."""
