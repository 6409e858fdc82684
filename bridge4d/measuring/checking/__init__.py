"""A report beside the stored results of its clips: what agrees, what differs."""
