"""What people install: the wheel, and what runs from it."""
