"""plugin"""
from airflow.plugins_manager import AirflowPlugin
class AgentFixPlugin(AirflowPlugin):
    name = "agentfix"
