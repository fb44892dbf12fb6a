"""The mesh as the user wants it: declarations of its fields, the frozen model, the mesh file, the drawing."""
