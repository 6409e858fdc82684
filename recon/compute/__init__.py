"""What all long work needs: progress, worker processes, files that are never half written."""
