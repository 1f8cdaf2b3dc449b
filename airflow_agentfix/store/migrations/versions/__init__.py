"""One file per change of AgentFix's tables, in order."""
