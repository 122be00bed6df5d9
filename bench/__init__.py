"""`make bench`: what a request through the sidecar costs on this machine. Prints figures; tests nothing."""
