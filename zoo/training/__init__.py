"""Training: `preparation`, `session`, `engine` (the loop), `run` (the directory)."""
