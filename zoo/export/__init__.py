"""Exporting: files that other runtimes read, and the proof that they answer as the network does."""
