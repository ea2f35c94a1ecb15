"""Where records land: formats, layout, and the one safe way to write an object."""
