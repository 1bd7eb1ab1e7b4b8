"""The login probe: a send and a login to an address of the team, with the code taken from its mailbox."""
