"""AskOperator: one run of `agentfix_ask` is one question to a person, with exactly the text AgentFix wrote.

Invariant: subject and body come from the run's conf at execution and are never templates: a log line or a diff in them may
hold `{{ }}`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context, Param

from airflow_agentfix.errors import ConfigurationError

MESSAGE = "message"
"""name of the free-text field beside the options"""


class AskOperator(HITLOperator):
    """Show the question of the run's conf ({subject, body, options, assigned_users, answer_hours}) and end with its answer.

    After `answer_hours` it fails without one. There are no defaults to fall back to: a timeout may stop, never approve.
    """

    template_fields = ()

    def __init__(self, **kwargs: Any) -> None:
        # The question is not known before the run: these stand in for it while the file is parsed.
        super().__init__(
            subject="AgentFix asks",
            options=["OK"],
            params={
                MESSAGE: Param("", type=["null", "string"], title="Message", description="Optional: what AgentFix should know.")
            },
            **kwargs,
        )

    def execute(self, context: Context) -> Any:
        """Show the question and wait without a slot."""
        self._take_question(context)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """The answer; it is checked against the options of this run's question."""
        self._take_question(context)
        return super().execute_complete(context, event)

    def _take_question(self, context: Context) -> None:
        conf = context["dag_run"].conf or {}
        if not conf.get("subject") or not conf.get("options"):
            raise ConfigurationError(
                f"The run's conf has {sorted(conf)!r}; expected subject and options. AgentFix starts the runs of this DAG."
            )
        hours = float(conf.get("answer_hours") or 0)
        self.response_timeout = timedelta(hours=hours) if hours else None
        self.subject = str(conf["subject"])
        self.body = str(conf.get("body") or "")
        self.options = [str(option) for option in conf["options"]]
        self.assigned_users = [{"id": str(user), "name": str(user)} for user in conf.get("assigned_users") or ()] or None
