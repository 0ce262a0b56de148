"""The faster way through an execution: answers are read into structs, which need no look at their values."""
