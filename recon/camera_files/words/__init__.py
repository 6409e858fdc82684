"""What camera files say in words: comments, headings and keys that a reader does not know."""
