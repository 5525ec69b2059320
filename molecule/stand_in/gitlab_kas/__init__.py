"""A stand-in for gitlab-kas: it starts, listens, refuses and logs as KAS does, and serves no agents."""
