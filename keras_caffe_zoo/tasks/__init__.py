"""What nets are for: a picture in, and boxes, a mask, a pose or a name out."""
