"""The same questions without whole screens: prompts line by line, from the same declared fields."""
