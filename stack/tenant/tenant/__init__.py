"""One tenant's application. Which version it plays and whose it is, the environment says."""
