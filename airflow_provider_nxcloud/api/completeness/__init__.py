"""Reading windows until their records are proven complete."""
