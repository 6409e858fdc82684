"""What measuring and augmenting find, declared once: the reports, their parts, and how they become JSON and come back."""
