"""Reading and writing of video files, one frame at a time."""
