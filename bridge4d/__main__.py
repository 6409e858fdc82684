"""``python -m bridge4d`` is the command line."""

from bridge4d.cli import main

main()
