"""Training: `engine` (the loop), `optimization`, `run` (the directory), `session` (all of it)."""
