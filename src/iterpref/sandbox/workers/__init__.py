"""The processes that run programs, from the host's side: a pool of zygotes on the best rung of isolation."""
