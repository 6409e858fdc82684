"""Run folders: stages that are kept or redone, and the files in them."""
