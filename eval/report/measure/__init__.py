"""The report of measured clips: the page, the tables and the lines a terminal prints."""
