"""The shop's own code: what its DAGs import."""
