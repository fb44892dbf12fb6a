"""How the command line speaks and works: options, output, progress, signals. Shared by the commands and the plain prompts."""
