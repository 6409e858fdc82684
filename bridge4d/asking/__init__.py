"""Ask a world model for clips along camera paths, to be measured as any clips."""
