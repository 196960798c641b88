"""Files of fewer bits: half precision, and integers measured on pictures."""
