"""The command line `bioimageio-fn`: what is typed, read as calls of the functions that do the work.

What holds here: a command does nothing that Python can not do. `main` wires; each other room is a
command, or one question that commands share.
"""
