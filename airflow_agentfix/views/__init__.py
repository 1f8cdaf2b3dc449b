"""What pages show: use cases that read, with rights checked as everywhere, and give values that a template only has to write."""
