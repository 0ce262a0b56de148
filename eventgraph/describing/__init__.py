"""What is generated from a system's declaration: schemas, AsyncAPI."""
