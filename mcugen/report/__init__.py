"""Reports of a build: JSON for tools, text and HTML for people."""
