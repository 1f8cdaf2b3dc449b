"""Whether the same failure keeps its fingerprint over runs, and different failures have different ones."""

from __future__ import annotations

import io
import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice

from airflow_agentfix.core.fingerprint import fingerprint
from airflow_agentfix.core.logs import distill
from bench.figure import Figure
from bench.logs import OWN
from bench.long_logs import Line, event, line, noise

VARIANTS = 200
SITE = "/usr/lib/python3.12/site-packages"
MESSAGES = (
    'sqlalchemy.exc.OperationalError: connection to server at "10.0.{a}.{b}", port {port} failed at {when}: server closed '
    "the connection, PID: {pid}\n[SQL: SELECT * FROM orders WHERE day = '{day}']\n[parameters: ({n},)]",
    "ValueError: {n} of {m} rows of s3://lake/orders/dt={day}/part-{n:05d}.parquet have no currency (job {uuid})",
    "shop.errors.StockError: <Order object at {address}> of {run} is short of {n} items, see /tmp/tmp{hex}/report-{n}.csv",
    "requests.exceptions.HTTPError: 503 Server Error: Service Unavailable for url: https://api.acme.com:{port}/v2/jobs/{hex}",
)


def measure() -> list[Figure]:
    dice = random.Random(11)
    prints = [{_print(message, dice, number) for number in range(VARIANTS)} for message in MESSAGES]
    shells = {_shell_print(dice, number) for number in range(VARIANTS)}
    causes = [distill(io.BytesIO(file.read_bytes())).cause for file in sorted(OWN.glob("*.log"))]
    shared = len(causes) - len({fingerprint(cause) for cause in causes})
    varied = (
        "dates, run, try, map index, host, port, ids, addresses, temporary paths, counts; as events and as text; amid other lines"
    )
    return [
        Figure("same failure, more than one fingerprint", sum(len(one) - 1 for one in [*prints, shells]), "too many", 0,
               VARIANTS * (len(MESSAGES) + 1), f"{len(MESSAGES) + 1} failures in {VARIANTS} variants each: {varied}"),
        Figure("different failures, shared fingerprint", shared, "failures", 0, len(causes), "the logs of tests/corpus/failures"),
    ]  # fmt: skip


def _print(message: str, dice: random.Random, number: int) -> str:
    form: Line = event if number % 2 else line
    told = message.format(**_values(dice))
    traceback = (
        f'Traceback (most recent call last):\n  File "/opt/airflow/bundles/{dice.randrange(16**8):08x}/dags/shop.py", line '
        f'{dice.randrange(1, 300)}, in load\n    total(row)\n  File "{SITE}/lib.py", line {dice.randrange(900)}, in run\n{told}'
    )
    return _of(dice, form, lambda at: form(at, "ERROR", f"Task failed with exception\n{traceback}"))


def _shell_print(dice: random.Random, number: int) -> str:
    form: Line = event if number % 2 else line
    values = _values(dice)

    def failed(at: datetime) -> str:
        said = f"load: {values['n']} orders of {values['day']} cannot be written to shard {values['m']}"
        wrapper = "airflow.exceptions.AirflowException: Bash command failed. The command returned a non-zero exit code 1."
        traceback = f'Traceback (most recent call last):\n  File "{SITE}/airflow/bash.py", line 9, in execute\n{wrapper}'
        texts = (
            ("INFO", said),
            ("INFO", "Command exited with return code 1"),
            ("ERROR", f"Task failed with exception\n{traceback}"),
        )
        return "".join(form(at, level, text) for level, text in texts)

    return _of(dice, form, failed)


def _of(dice: random.Random, form: Line, failed: Callable[[datetime], str]) -> str:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=dice.randrange(10**7))
    around = [form(at, level, text) for level, text in islice(noise(dice), dice.randrange(60))]
    log = "".join([*around, failed(at), *around[:10]])
    return fingerprint(distill(io.BytesIO(log.encode())).cause)


def _values(dice: random.Random) -> dict[str, object]:
    day = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=dice.randrange(10**7))
    return {
        "a": dice.randrange(256),
        "b": dice.randrange(256),
        "port": dice.randrange(1024, 65536),
        "pid": dice.randrange(1, 99999),
        "n": dice.randrange(1, 90000),
        "m": dice.randrange(90000, 10**7),
        "day": day.date().isoformat(),
        "when": day.isoformat(sep=dice.choice("T ")),
        "uuid": uuid.UUID(int=dice.getrandbits(128)),
        "address": f"0x{dice.getrandbits(44):x}",
        "hex": f"{dice.getrandbits(40):010x}",
        "run": dice.choice((f"scheduled__{day.isoformat()}", f"manual__{day.isoformat()}")),
    }
