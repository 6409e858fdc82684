"""Options, checks and schedules of a training."""
