"""The command line: one file a command, imported only when that command is asked for.

What a command needs only once it runs, it imports inside: `meshwizard plan --help` must not wait for Kubernetes clients.
"""
