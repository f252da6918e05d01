"""The command line `bioimageio-fn`."""
