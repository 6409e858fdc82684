"""Progress, child processes, timing, and files that are never half written."""
