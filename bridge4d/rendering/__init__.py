"""Pictures and videos of a scene along a camera path."""
