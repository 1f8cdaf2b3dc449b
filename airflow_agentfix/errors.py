"""Every error AgentFix raises, in one hierarchy. Foreign errors become one of these at the adapter that meets them.

AgentFixError
├── ConfigurationError            something in [agentfix], a connection or a file is missing or wrong
│   ├── MissingConnection
│   ├── PolicyInvalid             a repository's .agentfix.yaml is not as its schema says
│   ├── NoRepository              no bundle and no [agentfix] repositories entry names the DAG's repository
│   │   └── RepositoryNotTold     the DAG's bundle has one, or may have, and the configuration here does not say which
│   ├── SkillError                a skill is missing or its file is malformed
│   └── ModelKeyError             the model's key is missing or was refused
├── AirflowError                  Airflow's REST API said no
│   ├── AirflowUnreachable        (retry may help)
│   ├── AirflowLoginRefused
│   ├── AirflowForbidden
│   ├── AirflowNotFound           unknown DAG, run, task, try; log gone
│   ├── AirflowConflict
│   └── AirflowRefused            any other answer that is not success
├── SessionError                  the session API or its rules
│   ├── SessionNotFound
│   ├── SessionConflict           another writer was first, or the lease is someone else's
│   │   └── StaleWrite            the row moved between reading and writing (read again, then retry)
│   ├── InvalidTransition         the state does not allow it
│   ├── DecisionRequired          an approval is pending and no decision was given
│   ├── NotAllowed                the person has no right to it
│   ├── InvalidRequest            a field is missing or malformed
│   └── RateLimited               too many failures at once from one login (retry helps)
├── StoreError
│   ├── StoreUnavailable          database locked or away (retry may help)
│   └── StoreOutdated             tables are missing or from another version
├── CodeError                     working copy and code hosts
│   ├── RepositoryUnreachable     (retry may help)
│   ├── RepositoryNotFound
│   ├── RepositoryMoved           it has another name or owner now
│   ├── CommitNotFound
│   ├── CodeHostForbidden         login refused or a permission is missing
│   ├── BranchExists              a branch of that name that this session did not make
│   ├── NothingToCommit
│   ├── BaseMoved                 the base branch changed what the fix changes
│   ├── EditRefused               an edit that does not apply, or a gate's refusal
│   └── CodeHostRefused           any other answer that is not success
├── RerunImpossible               no way to rerun applies; the message says what to configure
├── PreviewNotLoaded              a fix branch that cannot be shown as a DAG; the message becomes its import error
├── ModelError                    the model gave no usable turn
│   ├── ModelUnavailable          overloaded, away, stream cut (retry may help)
│   └── ModelRefused              the model declined; its reason is in the message
├── ToolRefused                   a model's tool call cannot be done as asked
└── BudgetExceeded                the day's dollars do not suffice
"""

from __future__ import annotations

from collections.abc import Mapping


class AgentFixError(Exception):
    """Root of all errors AgentFix raises. The message says what was found, what was expected and what to do."""


class ConfigurationError(AgentFixError):
    """A setting, connection or file is missing or wrong. Trying again does not help."""


class MissingConnection(ConfigurationError):
    """A connection that was named does not exist."""


class PolicyInvalid(ConfigurationError):
    """A repository's .agentfix.yaml is not as its schema says; nothing of it is used, and sessions only report."""


class NoRepository(ConfigurationError):
    """Nothing says which repository the DAG's code lives in."""


class RepositoryNotTold(NoRepository):
    """The DAG's bundle has a repository, or may have one, which this process's configuration does not tell; another's may."""


class SkillError(ConfigurationError):
    """A skill is missing or its SKILL.md is malformed."""


class ModelKeyError(ConfigurationError):
    """The model's key is missing or was refused."""


class AirflowError(AgentFixError):
    """Airflow's REST API did not do what was asked."""


class AirflowUnreachable(AirflowError):
    """The REST API did not answer, or answered 5xx after all retries. Trying again may help."""


class AirflowLoginRefused(AirflowError):
    """The REST API refused the login (401, or the token endpoint said no)."""


class AirflowForbidden(AirflowError):
    """The login is valid but lacks the right (403)."""


class AirflowNotFound(AirflowError):
    """The DAG, run, task instance, try or log does not exist (404)."""


class AirflowConflict(AirflowError):
    """It exists already or is in another state (409)."""


class AirflowRefused(AirflowError):
    """Any other answer that is not success; the message carries status and detail."""


class SessionError(AgentFixError):
    """A session does not exist or does not allow what was asked."""


class SessionNotFound(SessionError):
    """No session has this id, or the asker may not know of it."""


class SessionConflict(SessionError):
    """Another writer was first, or another worker holds the lease. Read again, then decide."""


class StaleWrite(SessionConflict):
    """The session's version moved between reading and writing it. Nothing was written; reading again and retrying helps."""


class InvalidTransition(SessionError):
    """The session's state does not allow this."""


class DecisionRequired(SessionError):
    """An approval is pending: `decision` must be approve or reject."""


class NotAllowed(SessionError):
    """The person or worker has no right to this on the session's DAG."""


class InvalidRequest(SessionError):
    """A field is missing or malformed."""


class RateLimited(SessionError):
    """The login handed over more failures a minute than `[agentfix] intake_per_minute`. Trying again after Retry-After helps."""

    retry_after: int = 60
    """seconds"""


class StoreError(AgentFixError):
    """AgentFix's own tables."""


class StoreUnavailable(StoreError):
    """The database is locked or away. Trying again may help."""


class StoreOutdated(StoreError):
    """AgentFix's tables are missing or from another version. Run: agentfix db migrate"""


class CodeError(AgentFixError):
    """The repository, a branch, or an edit."""


class RepositoryUnreachable(CodeError):
    """The code host did not answer. Trying again may help."""


class RepositoryNotFound(CodeError):
    """The repository does not exist or the login may not see it."""


class RepositoryMoved(CodeError):
    """The repository was renamed or given to another owner, and the new place could not be followed. Correct its URL."""

    def __init__(self, message: str, *, location: str = "") -> None:
        super().__init__(message)
        self.location = location


class CommitNotFound(CodeError):
    """The commit or branch is not in the repository."""


class CodeHostForbidden(CodeError):
    """The login was refused or lacks a permission; the message names it where the host tells."""


class BranchExists(CodeError):
    """A branch of this name exists and this session did not make it. AgentFix never moves it."""


class NothingToCommit(CodeError):
    """The working copy equals its base."""


class BaseMoved(CodeError):
    """The base branch changed a file that the fix changes. A new session starts from its new head."""


class EditRefused(CodeError):
    """An edit does not apply, or a gate refuses it. The message goes back to the model."""


class CodeHostRefused(CodeError):
    """Any other answer of the code host that is not success."""


class RerunImpossible(AgentFixError):
    """No way to rerun applies; the message says why and what to configure."""


class PreviewBroken(RerunImpossible):
    """The fix's preview was parsed and does not import; the message has its error."""


class PreviewNotLoaded(AgentFixError):
    """A fix branch cannot be shown as a DAG. Airflow shows the message as the import error of the preview's file."""


class ModelError(AgentFixError):
    """The model gave no usable turn."""

    usage: Mapping[str, int] | None = None
    """what its attempts used all the same, as a turn's usage; None where nothing is known to have been used"""
    dollars: float = 0.0


class ModelUnavailable(ModelError):
    """The model is overloaded or away, or its stream was cut, after all retries. Trying again may help."""


class ModelRefused(ModelError):
    """The model declined to answer; the message carries the reason it gave."""


class ToolRefused(AgentFixError):
    """A tool call cannot be done as asked. The message goes back to the model and says what to do instead."""


class BudgetExceeded(AgentFixError):
    """The day's dollars of the DAG or of the deployment do not suffice for the session. After midnight UTC they do."""
