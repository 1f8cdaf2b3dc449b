"""Previews of fix branches."""
