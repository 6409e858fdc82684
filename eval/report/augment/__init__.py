"""The report of an augmentation: the page, and the lines a terminal prints."""
