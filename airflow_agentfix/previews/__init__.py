"""Fix branches as preview DAGs: which may be served (listing, fixes), fetched (repository), checked out (trees), loaded (loaders,
loading, imports). `shelf` is all of that on one machine; `airflow_agentfix.bundles.AgentFixPreviews` is the door."""
