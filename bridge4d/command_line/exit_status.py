"""Exit statuses of the command line, by which scripts tell what happened."""

DIFFERS = 1
"""A report does not hold what its run gives; as of diff and cmp."""
BAD_INPUT = 2
"""Something that was given cannot be used; as of argparse and most shells' built-ins."""
NO_RECONSTRUCTION = 3
"""The command did its work and nothing could be reconstructed or measured."""
FAULT = 70
"""An error of the program itself; EX_SOFTWARE of BSD's sysexits."""
INTERRUPTED = 130
"""Ctrl-C or SIGTERM; 128 + SIGINT, as shells count."""
