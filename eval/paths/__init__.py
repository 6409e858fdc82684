"""What is wrong with a recovered path: against its request, against its matches, within itself."""
