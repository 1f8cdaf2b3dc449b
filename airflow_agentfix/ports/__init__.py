"""What the engine needs from the outside, as protocols. Each adapter implements exactly one."""

from airflow_agentfix.core.plain import Json
from airflow_agentfix.ports.airflow import AirflowApi, TaskSpec
from airflow_agentfix.ports.code import (
    COMPARED_COMMITS,
    Checks,
    CodeHost,
    Comment,
    CommitCheck,
    Comparison,
    Fate,
    FileChange,
    FixRequest,
    OpenedFix,
    RepositoryPolicy,
)
from airflow_agentfix.ports.model import Model, ModelRequest, ToolCall, ToolSchema, Turn
from airflow_agentfix.ports.server import (
    HumanAnswer,
    Pinned,
    PinRequest,
    Preview,
    Question,
    RecoverRequest,
    RunLike,
    ServerAirflow,
    TaskStates,
    UnpinRequest,
)
from airflow_agentfix.ports.sessions import Answer, Approved, Claim, Rerun, SessionClient, WaitRun

__all__ = [
    "COMPARED_COMMITS",
    "AirflowApi",
    "Answer",
    "Approved",
    "Checks",
    "Claim",
    "CodeHost",
    "Comment",
    "CommitCheck",
    "Comparison",
    "Fate",
    "FileChange",
    "FixRequest",
    "HumanAnswer",
    "Json",
    "Model",
    "ModelRequest",
    "OpenedFix",
    "PinRequest",
    "Pinned",
    "Preview",
    "Question",
    "RecoverRequest",
    "RepositoryPolicy",
    "Rerun",
    "RunLike",
    "ServerAirflow",
    "SessionClient",
    "TaskSpec",
    "TaskStates",
    "ToolCall",
    "ToolSchema",
    "Turn",
    "UnpinRequest",
    "WaitRun",
]
