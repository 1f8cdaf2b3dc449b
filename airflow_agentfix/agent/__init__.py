"""The loop, its tools, skills and prompt."""
