"""SOG (PlayCanvas): single and streamed scenes, and the tables of bytes they share."""
