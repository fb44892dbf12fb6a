"""What is done to a mesh: `prepare` gives what is frozen, an operation says what a run does with it, `working` runs it."""
