"""What the session API answers, for its OpenAPI document.

The models hold the very classes that are served (`Session`, `Event`, …), so a new field is documented by being there. Nothing is
served through them: an answer is plain JSON, and an event may be megabytes.
"""

from __future__ import annotations

from typing import Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, RootModel, create_model

from airflow_agentfix.core.budget import Budget
from airflow_agentfix.core.links import Links
from airflow_agentfix.core.policy import Effective, Policy
from airflow_agentfix.core.session import Event, Session, State
from airflow_agentfix.core.stages import Stage
from airflow_agentfix.ports import Answer, Approved, Json, Rerun, WaitRun
from airflow_agentfix.store.wire import Audit, Recovery
from airflow_agentfix.web import examples


def _shown(*values: Json) -> ConfigDict:
    """Every field is there and no other; descriptions are the fields' own docstrings."""
    return ConfigDict(
        extra="forbid",
        json_schema_serialization_defaults_required=True,
        use_attribute_docstrings=True,
        json_schema_extra={"examples": list(values)} if values else None,
    )


class ErrorTold(BaseModel):
    model_config = _shown()

    type: str
    """a class of errors.py, or one of Airflow's refusals told as one"""
    message: str
    """what was found, what was expected, what to do"""


class ErrorAnswer(BaseModel):
    """Every refusal has this shape."""

    model_config = _shown()

    error: ErrorTold


class HealthAnswer(BaseModel):
    model_config = _shown({"status": "ok", "version": "0.1.0"})

    status: Literal["ok"]
    version: str


class TakenAnswer(BaseModel):
    """What became of a failure, or of a message."""

    model_config = _shown(examples.TAKEN)

    session_id: str
    state: State
    created: bool
    """whether a session was made for it"""
    warning: str | None
    """what keeps it from being worked on, or from asking a model"""
    stalled: bool
    """nobody comes to work on it yet"""


class SessionAnswer(BaseModel):
    model_config = _shown(examples.SESSION)

    session: Session


class ShownAnswer(BaseModel):
    model_config = _shown(examples.SHOWN)

    session: Session
    budget: Budget
    verification: list[Stage]
    """of the newest fix, every stage in order; empty where no fix is open"""
    links: Links


class PageAnswer(BaseModel):
    model_config = _shown(examples.PAGE)

    sessions: list[Session]
    """newest first"""
    total: int
    """how many there are that fit, of those this login may read"""


class EventsAnswer(BaseModel):
    model_config = _shown(examples.EVENTS)

    events: list[Event]
    """in order, their numbers without a gap"""


def _model(kind: type, name: str, *values: Json, **more: Any) -> type[BaseModel]:
    """The fields of a dataclass and `more`, in one object."""
    fields = {**more, **{field: (hint, ...) for field, hint in get_type_hints(kind).items()}}
    config = _shown(*values)
    return create_model(name, __config__=config, __doc__=kind.__doc__, __module__=__name__, **fields)


AuditTold: Any = _model(Audit, "AuditTold", ok=(bool, ...))


class AuditAnswer(BaseModel):
    model_config = _shown(examples.AUDIT)

    audit: AuditTold


RecoveryTold: Any = _model(Recovery, "RecoveryTold")


class RecoveryAnswer(BaseModel):
    model_config = _shown(examples.RECOVERY)

    recovery: RecoveryTold


PolicyAnswer: Any = _model(Effective, "PolicyAnswer", examples.POLICY, dag_id=(str, ...))


class ClaimAnswer(BaseModel):
    """The lease, the session, all its events and what it may do. A session that is done comes with an empty lease."""

    model_config = _shown(examples.CLAIM)

    lease: str
    session: Session
    events: list[Event]
    policy: Policy
    unpaid: str | None
    """why no model may be asked that costs anything; null while the day has dollars for it"""


class SignatureAnswer(BaseModel):
    model_config = _shown(examples.SIGNATURE)

    signature: str
    """64 hexadecimal digits; empty where the deployment has no key"""


class ShapeAnswer(BaseModel):
    model_config = _shown(examples.SHAPE)

    shape: dict[str, Any]
    """of the failed run's DAG: tasks, edges, groups, mapping, pools, queues, retries, trigger rules"""


def _result(kind: type, *values: Json) -> Any:
    """One of the answers to `ask`, `approval` and `rerun`, told apart by `type`."""
    return _model(kind, kind.__name__, *values, type=(Literal[kind.__name__], ...))


AnswerTold: Any = _result(Answer, examples.ANSWER)
ApprovedTold: Any = _result(Approved, examples.APPROVED)
RerunTold: Any = _result(Rerun, examples.RERUN)
WaitTold: Any = _result(WaitRun, examples.WAIT)


class AskAnswer(RootModel[AnswerTold | WaitTold]):
    """The answer, or what to wait for."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.ANSWER, examples.WAIT]})


class ApprovalAnswer(RootModel[ApprovedTold | AnswerTold | WaitTold]):
    """Yes; an answer that is not one; or what to wait for."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.APPROVED, examples.WAIT]})


class RerunAnswer(RootModel[RerunTold | WaitTold]):
    """The rerun that was started, or what to wait for before it can be."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.RERUN, examples.WAIT]})
