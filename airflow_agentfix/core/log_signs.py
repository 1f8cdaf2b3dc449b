"""What lines of a log give away: which may state a cause, which end a task, which say that an error was handled. Data only.

Weights order candidates against each other; they mean nothing outside `core.logs`.
"""

from __future__ import annotations

import re

TRACEBACK = b"Traceback (most recent"
STRONG = (TRACEBACK, b"rror: ", b"xception: ")
"""Bytes worth a look wherever they stand in a log; everything else only counts near its end. Each costs a search: keep few."""
STRONG_IN_EVENTS = (b'"error_detail":',)
ENDS = (
    b"Task failed with exception",
    b"Marking task as",
    b"Process terminated by signal",
    b"ed with return code",
    b"Task killed!",
    b"Failed to execute job",
    b"Starting attempt",
)
"""Bytes of the lines that end (or restart) a task: what stands before them is looked at closely."""
ENDS_IN_EVENTS = (b'"Task exited"',)

# --- where a task ends -----------------------------------------------------------------------------------------------

FAILED_HERE = re.compile(r"^Task failed with exception|^Task failed due to|^Task exited\b.*exit_code|^Top level error")
"""The event that carries the task's own exception."""
ENDED = re.compile(
    r"^(?:Immediate failure requested\. )?Marking task as (?:FAILED|UP_FOR_RETRY|SKIPPED)"
    r"|^Failed to execute job \d+|^Task exited with return code (?!0\b)"
    r"|^Process terminated by signal|^Task killed!|^Process exited abnormally|^Task is not able to be run"
)
JOB_FAILED = re.compile(r"^Failed to execute job \d+ for task \S+ \((?P<message>.*?)(?:; \d+\))?$")
"""Airflow 2 repeats the exception's message here, which is all that is left where its traceback is not in the log."""
COMMAND_ENDED = re.compile(r"^Command exited with return code (?!0\b)-?\d+")
COMMAND_STARTS = re.compile(r"^Output:$|^Running command\b")
OUTPUT_SOURCE = re.compile(
    r"(?:^|[./])(?:subprocess|spark_submit|docker|pod_manager|ssh|hive|beam|sqoop|winrm)(?:\.py)?$"
    r"|SubprocessHook|SparkSubmit|PodManager|SSHHook|DockerOperator|SSHOperator|KubernetesPod|cosmos\."
)
"""Loggers that repeat what a command, container or remote host prints."""
STARTS = re.compile(r"^Starting attempt \d+ of \d+")

# --- deaths without an exception -------------------------------------------------------------------------------------

KILLED = re.compile(
    r"Negsignal\.SIG\w+|return code -(?:9|15)\b|exit(?:ed)?(?: with)?[ _](?:code|status)[ =:]*(?:137"
    r"|139|143|-9)\b|SIGKILL|heap out of memory|OOM ?-?[Kk]ill\w*|oom-kill|\bOut of memory\b"
    r"|^Process terminated by signal|^(?:\S+: line \d+:\s+\d+ )?Killed\b|zombie|heartbeat timeout"
    r"|[Tt]ask received SIGTERM|Received SIGTERM"
    r"|externally set to|Recorded (?:pid|hostname) .{1,80}does not match"
    r"|Segmentation fault|Task killed!|Container killed|[Ee]xit code(?: is)?:? (?:137"
    r"|143)\b|exceed(?:ed|ing) (?:physical )?memory limits?"
    r"|Detected (?:as )?zombie|heartbeat.{0,60}(?:timed? ?out|not found|running elsewhere)"
    r"|[Hh]eartbeat time limit exceeded|[Hh]eartbeat failed"
    r"|[Ss]erver indicated the task shouldn't be running"
)

CRASHED = re.compile(r"^Command exited with return code (?:-6|-11|134|139)\b")
"""A command that ended itself: what it printed before says more, where it did."""

# --- lines that may state the cause ----------------------------------------------------------------------------------

STACK_FRAME = re.compile(r"^\s+at \S")
JAVA_TRACE = re.compile(r"^\s+at |^\s*\.\.\. \d+ (?:more|common)|^\s*$|^\s*(?:Caused by|Suppressed): ")
POD_EVENT = re.compile(r"\b\d+/\d+ nodes are available: |^(?:Pod Event: )?(?:Failed|FailedScheduling|FailedMount|BackOff) - ")
JAVA_CAUSE = re.compile(r"^Caused by: ")
OUTER_CHANGE = 10
"""less for what a deeper `Caused by:` of the same stack trace goes back to"""
DBT_HEADER = re.compile(
    r"^\s*(?:\S+ )?(?:(?:Database|Compilation|Runtime|Parsing|Dependency|Validation|Schema|Contract"
    r"|Internal|Profile|Project|Env Var Missing|Undefined\w*) Error\b(?! *:).*"
    r"|(?:Error|Erreur|Fehler|Errore) (?:in|dans|en|bei) .{1,300} ?:"
    r"|Failure in (?:unit )?test .*|Encountered an error:)\s*$"
)
"""The next line says what it is."""

_RULES: tuple[tuple[int, str], ...] = (
    (84, r"^\s*Caused by: [\w.$]+(?::|$)"),
    (82, r"^Exception in thread \"[^\"]*\" [\w.$]+"),
    (80, r"^(?:psql|[\w./-]+\.sql)\b.*\b(?:ERROR|FATAL|error):"),
    (80, r"^ERROR \d+ \(\w{5}\)|^FAILED: \w+|^\*{3} (?:Failure|Error):? \d+"),
    (80, r"^Can't locate \S+\.pm\b|^Error: there is no package called"),
    (78, POD_EVENT.pattern),
    (79, r"^(?:Unrecognized (?:VM )?option|Invalid maximum heap size|Unable to access jarfile)\b"),
    (79, r"^(?:Error: |ERROR: )?[A-Z][A-Z0-9_]{2,} (?:is|must be) (?:not )?(?:set|defined)"),
    (78, r"^(?:/\S+|\S+\.sh|-?bash|sh): (?:line )?\d+: \S"),
    (
        78,
        r"^(?:/\S+|bash|sh|zsh|env|python\d?|\S+\.sh): (?:line \d+: )?.*(?:command not found"
        r"|No such file or directory|[Pp]ermission denied|not found|can't open file|syntax error)",
    ),
    (
        76,
        r"^(?:\[[\w ]+\] )?(?:[\w./-]+: )?(?:[Ff]atal(?: error)?|FATAL(?: ERROR)?|[Pp]anic|PANIC|Error|error"
        r"|ERROR|E|FEHLER|ERREUR|ERRORE|ERRO|FOUT|ОШИБКА)(?:\[\w+\])?[:,]\s+\S",
    ),
    (
        76,
        r"^(?:curl|wget|ssh|scp|rsync|git|aws|gcloud|gsutil|bq|kubectl|docker|terraform|npm|pip"
        r"|java)\b(?: ERR!)?[: (].*(?:rror|ail|denied|refused|[Cc]ould not|[Cc]annot"
        r"|[Uu]nable|[Ii]nvalid|[Uu]nknown|expired|not found|resolve)",
    ),
    (
        76,
        r"^[a-z][\w.+-]{0,30}: (?:.{1,200}: )?(?:No such file|Permission denied|Not a directory|Is a directory|File exists"
        r"|No space left|Connection |Operation not permitted|Broken pipe|Invalid argument|Argument list too long"
        r"|invalid option|unrecognized option|command not found|not found)"
        r"|^Permission denied \(|^Host key verification failed|^Error in \S.{0,200}(?::|$)",
    ),
    (74, r"^An error occurred \(\w+\) when calling|^ORA-\d{5}|^Msg \d+, Level \d+|^SQLSTATE|^\d{6} \(\w{5}\):"),
    (72, r"^(?:[A-Za-z_][\w$]*\.)*[A-Za-z_]\w*(?:Error|Exception|Failure|Timeout)(?:: |$)|^(?:[a-z_]\w*\.)+[A-Z]\w+: \S"),
    (
        70,
        r"^[a-z][\w.+-]{0,30}: \S.{0,200}?\b(?:unterminated|unknown|missing|invalid|unexpected|unrecognized|not a valid)\b",
    ),
    (68, r"\blevel=(?:error|fatal|panic)\b"),
    (
        66,
        r"^(?:\d\d/\d\d/\d\d \d\d:\d\d:\d\d |\[?\d{4}-\d\d-\d\d\S* ?\S*\]? )?\[?(?:ERROR|FATAL|SEVERE)\]?\s+(?:\|\s*)?\S"
        r"|\[FAILED\]\s*$",
    ),
    (55, r"^\W{0,4}(?:FAIL|FAILED)\b(?!: 0| 0)"),
    (50, r"^(?:\d+ of \d+ )(?:ERROR|FAIL \d+)\b"),
    (44, r"(?:ERROR|Error|error)\b[: ]|Exception: "),
    (
        36,
        r"\b(?:[Cc]ould not|[Cc]annot|[Ff]ailed to|[Uu]nable to|[Dd]enied|refused|timed out|[Nn]ot found"
        r"|does not exist|[Ii]nvalid)\b",
    ),
    (24, r"\b(?:[Ff]ailed|FAILED|[Ff]ailure)\b"),
)
RULES = tuple((weight, re.compile(pattern)) for weight, pattern in _RULES)

TRACEBACK_WEIGHT = 80
KILL_WEIGHT = 77
CRASH_WEIGHT = 40
NAMED_WEIGHT = 72
"""of a line that names an exception"""
LEVEL_WEIGHT = {"error": 60, "critical": 64, "fatal": 64}
LEVEL_CHANGE = {"warning": -30, "warn": -30, "debug": -36}
HANDLED_CHANGE = -60
VAGUE_CHANGE = 16
OUTPUT_BONUS = 20
"""for a line of the output of the very command whose failure ended the task"""

NAMED_INSIDE = re.compile(r"\b[A-Z]\w*(?:Error|Exception): \S")
NOISE = re.compile(
    r"\berrors?(?:_\w+)?[=:] ?(?:0|1|none|ignore)\b|\b0 (?:errors|failed|failures)|\bno errors?\b"
    r"|^\s*warnings\.warn\(|ssh_hook is not provided|error_limit|on_error|raise_on_error|fail_fast|errors_seen"
    r"|(?:ERROR|FAIL|FAILED|failed|failcnt)=0\b|error[-_ ]rate|on_failure_callback|_error_events"
    r"|exceptions?/dt=|failed_payments|exceptions_audit|error_topic"
    r"|^(?:Running|Executing|Exporting|Running command)\b.{0,20}[:\[(<]|^Copied s3|^query: |^Done\. PASS"
    r"|^Completed with \d+ error|already registered by provider|emitting FAIL event"
    r"|memory rss=|^Filling up the DagBag|^DAG bundles loaded|[Dd]eprecat\w+Warning|FutureWarning"
    r"|ResourceWarning|UserWarning|SettingWithCopy"
)
WRAPS = re.compile(
    r"returned (?:a )?non-?zero|^make(?:\[\d+\])?: \*\*\*|npm ERR! (?:code|errno|A complete log)"
    r"|exit(?:ed)?(?: with)? (?:code|status)|^Command exited"
    r"|^subprocess\.CalledProcessError|^(?:ERROR|Error): (?:process|command|step) .*failed"
    r"|^\W{0,4}\d+ failed\b|^Execution halted|^Exécution arrêtée|^Ausführung angehalten"
    r"|Could not create the Java Virtual Machine|A fatal exception has occurred\. Program will exit"
)
HANDLED = re.compile(
    r"will retry|[Rr]etry(?:ing)?\b|re-?queued|attempt \d+\)|\bnon-?fatal\b|ignor(?:ed|ing)"
    r"|default applied|quarantin|\bhandled\b|skipp(?:ed|ing)\b.*(?:row|record|file)"
    r"|Removing executor|fall(?:ing|s)? ?back|continuing|refreshed on|preempted|Resubmitting|leaving it for"
    r"|[Ff]ailed to resolve template field|may retry|\bharmless\b|\bexpected\b.*error|cache miss|transient"
)
RECOVERED = re.compile(
    rb"(?:\bok\b|OK|succeeded|success|recovered|continuing|rebuilt|default applied|lock acquired|handled"
    rb"|re-?queued|refreshed)(?! ?[=:] ?(?:0|[Ff]alse))"
)


_WORDS = (
    *("error", "exception", "fail", "fatal", "panic", "kill", "denied", "refused", "not found", "no such", "cannot"),
    *("can't", "could not", "unable", "timed out", "timeout", "invalid", "not exist", "caused by", "ora-", "msg ", "sqlstate"),
    *("sigterm", "zombie", "heartbeat", "memory", "signal", "segmentation", "externally set", "e: ", " set", "unbound", "abort"),
    *("recorded ", "exit", "shouldn't", "line ", "is a directory", "not a directory", "exists", "no space", "broken pipe"),
    *("untermin", "unknown", "missing", "unexpect", "unrecog", "level=", "not a valid"),
    *("): ", "argument", "option", "not permitted", "connection ", "fehler", "erreur", "erro", "fout", "ошибка"),
)
"""One of them is in every line that has a weight: what a lower-case look rules out costs no pattern."""
_INLINE_LEVEL = re.compile(r"^(?:\S+ \S+ )?\[?(WARN|WARNING|INFO|DEBUG|W|I|D)(?:[\]:,]|(?<=[A-Z]{4}) ) ?")


def weigh(text: str, level: str) -> int:
    """How likely this line states a cause; 0 for no."""
    low = text.lower()
    if level not in LEVEL_WEIGHT and not any([word in low for word in _WORDS]):
        return 0
    if NOISE.search(text) and not text.startswith(("Traceback", "ERROR")):
        return 0
    weight = LEVEL_WEIGHT.get(level, 0)
    for found, pattern in RULES:
        if found > weight and pattern.search(text):
            weight = found
            break
    if weight and WRAPS.search(text):
        weight = min(weight, 30)
    if KILLED.search(text):
        weight = max(weight, KILL_WEIGHT)
    if CRASHED.match(text):
        weight = max(weight, CRASH_WEIGHT)
    if not weight:
        return 0
    inline = _INLINE_LEVEL.match(text)
    if inline:
        level = "warn" if inline[1].startswith("WARN") else "debug"
    return weight + LEVEL_CHANGE.get(level, 0) + (HANDLED_CHANGE if HANDLED.search(text) else 0)
