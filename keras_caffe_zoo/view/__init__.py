"""What a net looks like: its graph as a page for a browser, or as a picture."""
