"""Whether a failure was seen more than once before it was fixed: Airflow's own retries are reproductions."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_agentfix.core.stages import REPRODUCED, Stage, not_run, passed

LOOKED_AT = 5
"""earlier tries, the newest ones"""


def earlier_tries(try_number: int) -> range:
    """The tries whose logs are worth a look."""
    return range(max(1, try_number - LOOKED_AT), try_number)


def reproduced(fingerprint: str, try_number: int, seen: Mapping[int, str | None], *, elsewhere: int = 0) -> Stage:
    """
    Whether the cause was seen in more than one try of the task, or in other failures too.

    :param seen: fingerprint of each earlier try; None where its log is gone or could not be read.
    :param elsewhere: further failures with the same fingerprint.
    """
    same = sorted(number for number, found in seen.items() if found == fingerprint)
    other = sorted(number for number, found in seen.items() if found not in (fingerprint, None))
    unread = sorted(number for number, found in seen.items() if found is None)
    asides = [
        *([f"another one in {_tries(other)}"] if other else []),
        *([f"no log of {_tries(unread)}"] if unread else []),
    ]
    aside = f" ({'; '.join(asides)})" if asides else ""
    if not same and not elsewhere:
        return not_run(REPRODUCED, f"{_once(try_number, looked=len(seen))}{aside}")
    seen_in = [f"{len(same) + 1} tries of the task: {', '.join(map(str, [*same, try_number]))}"] if same else []
    seen_in += [f"{elsewhere} further failure{'s' if elsewhere > 1 else ''}"] if elsewhere else []
    return passed(REPRODUCED, f"the same cause was seen before the fix in {' and in '.join(seen_in)}{aside}")


def _once(try_number: int, *, looked: int) -> str:
    if not looked:
        return "the cause was seen in one try only"
    return f"the cause was seen in one try only, {try_number}; {looked} before it {'was' if looked == 1 else 'were'} looked at"


def _tries(numbers: list[int]) -> str:
    return f"try {numbers[0]}" if len(numbers) == 1 else f"tries {', '.join(map(str, numbers))}"
