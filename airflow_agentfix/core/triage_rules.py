"""What root causes look like, by kind: data only, one test per rule. The first rule that matches decides, so the order is
part of it: what is certain by its type comes before what words suggest.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow_agentfix.core.incident import Verdict


@dataclass(frozen=True)
class Rule:
    """If the exception's name matches `types` and the cause's text matches `text` (each if given), the verdict is this."""

    name: str
    verdict: Verdict
    confidence: float
    text: str | None = None
    types: str | None = None
    reason: str = ""
    action: str | None = None


_CODE, _DATA, _INFRA, _CONFIG, _DEPENDENCY = Verdict.CODE, Verdict.DATA, Verdict.INFRA, Verdict.CONFIG, Verdict.DEPENDENCY
_RETRY = "Clear the failed task once {what}; the code needs no change."

# fmt: off
RULES: tuple[Rule, ...] = (
    # --- certain by type
    Rule(
        "programming error", _CODE, 0.88,
        types=r"^(?:NameError|UnboundLocalError|AttributeError|SyntaxError|IndentationError|TabError|NotImplementedError"
        r"|RecursionError|NullPointerException|ClassCastException|ArrayIndexOutOfBoundsException|IllegalArgumentException)$",
        reason="the exception's type is a programming error",
    ),
    Rule("cannot import name", _CODE, 0.85,
        text=r"cannot import name",
        reason="a name is imported that its module does not have"),
    Rule(
        "wrong parameters", _CODE, 0.86,
        text=r"ParamValidationError|XPathEvalError|yaml\.(?:scanner|parser|composer|constructor)\."
        r"|while parsing a (?:block|flow)|mapping values are not allowed|could not find expected ':'|invalid series dtype"
        r"|near \"[^\"]{1,60}\": syntax error|NoSuchMethodError|UnsupportedClassVersionError",
        reason="a library was given what it does not take",
    ),
    Rule("type error", _CODE, 0.82, types=r"(?<!Arrow)TypeError$", reason="a value of the wrong type was passed"),
    Rule(
        "missing package", _DEPENDENCY, 0.9,
        text=r"No module named|ModuleNotFoundError|there is no package called|Cannot find module|Can't locate \S+\.pm"
        r"|Missing optional dependency|cannot find package|Cannot locate a .{1,30}library|No suitable driver"
        r"|Could not find or load"
        r"|needs to be in PATH|is not installed|pip install"
        r"|No matching distribution found|Could not find a version that"
        r"|cannot open shared object file|version `?GLIBC|is not compatible with Python|requires a different Python"
        r"|DistributionNotFound|VersionConflict"
        r"|ResolutionImpossible"
        r"|ClassNotFoundException|NoClassDefFoundError|command not found|executable file not found",
        reason="a package or program is missing from the environment",
    ),
    Rule(
        "missing connection or variable", _CONFIG, 0.9,
        text=r"conn_id .{1,120}isn't defined|Connection .{1,120}(?:not found|does not exist)|Variable .{1,120}does not exist"
        r"|[Ee]nv(?:ironment)? var(?:iable)? .{1,80}"
        r"(?:required|not (?:set|provided|defined|found))|Could not find profile|[Pp]rofile .{1,80}(?:not found"
        r"|does not have a target)|profiles\.yml|Fernet"
        r"|Could not parse SQLAlchemy URL|missing (?:required )?(?:configuration|config|setting)"
        r"|section/key .{1,120}not found|NoSuchBucket"
        r"|bucket .{1,80}does not exist|No such secret|secret .{1,80}not found",
        reason="a connection, variable or setting is missing",
    ),
    Rule("missing setting by text", _CONFIG, 0.85,
        text=r"VARIABLE_NOT_FOUND|CONNECTION_NOT_FOUND|[A-Z][A-Z0-9_]{2,} (?:is|must be) (?:not )?(?:set|defined)"
        r"|(?:database|role|user|keyspace|warehouse|catalog) [\"'`][^\"'`]{1,80}[\"'`] does not exist|Unknown database"
        r"|Cannot open database|Could not find \S{1,80}\.json|[Mm]issing (?:required )?(?:environment|credentials file)",
        reason="a setting names something that is not there"),
    # --- data tests
    Rule(
        "data test failed", _DATA, 0.9,
        text=r"Got \d+ results?, configured to fail|Failure in test|[Ee]xpectation.{0,80}(?:fail|not met)|Data quality"
        r"|Tests? failed:"
        r"|validation failed for .{0,80}(?:suite|checkpoint)|The following tests have failed|[Cc]heck(?:s)? failed"
        r"|failed element-wise validator|freshness|(?:^|: )Test failed\.|Validation with .{1,60} failed"
        r"|\d+(?:/| of )\d+ (?:\w+ )?(?:checks?|tests?|expectations?|validations?) (?:have )?(?:FAILED|failed)|\[FAILED\]"
        r"|\d rows? violat|[Qq]uality (?:check|gate|rule|test)|\b[Cc]hecks? (?:on|of|for|in) .{1,80}(?:failed|did not pass)",
        reason="a data test failed",
    ),
    Rule("schema check failed", _DATA, 0.85,
        types=r"(?:SchemaError|SchemaErrors|GreatExpectations\w*|ExpectationFailed\w*|DataQuality\w*|DataValidation\w*)$",
         reason="a data validation failed"),
    # --- killed from outside
    Rule(
        "out of memory kill", _INFRA, 0.95,
        text=r"OOM ?-?[Kk]ill|oom-kill|exit(?:ed)?(?: with)?[ _](?:code|status)\W{0,4}(?:is )?137|return ?code (?:-9"
        r"|137)\b|SIGKILL"
        r"|Killed\b"
        r"|Container killed by YARN|signal=-9|memory limits?\b.{0,40}exceed|exceed\w* (?:physical )?memory limit",
        reason="the process was killed from outside, most often for memory",
        action="Give the task more memory (pod limit, worker size) or make it smaller; then clear the failed task.",
    ),
    Rule(
        "lost worker", _INFRA, 0.93,
        text=r"[Zz]ombie (?:job|task|process)|(?:as|a) zombies?\b|[Nn]o (?:recent )?heartbeat|[Mm]issed .{0,20}heartbeat"
        r"|[Hh]eartbeats?\b.{0,60}(?:timed? ?out|time ?limit|timeout|failed|not found|running elsewhere|exceed)|executor lost"
        r"|ExecutorLost|\bEvicted\b|(?:was|been|were) (?:evicted|preempted)|evicted (?:due|because|by)"
        r"|node .{0,60}(?:not ready|shut ?down|lost)"
        r"|worker .{0,40}(?:was lost|exited prematurely)|WorkerLostError|Spot instance|SPOT_INSTANCE|BrokenProcessPool"
        r"|Recorded (?:pid|hostname) .{1,80}does not match",
        reason="the worker or its process was lost", action=_RETRY.format(what="a worker is available"),
    ),
    Rule("terminated", _INFRA, 0.85, text=r"SIGTERM|exit code 143|return ?code -15|Process terminated by signal",
        reason="the process was told to stop, and nothing says why"),
    Rule("set from outside", _INFRA, 0.7,
        text=r"externally set to|[Ss]erver indicated the task shouldn't be running|Task killed!",
        reason="someone or something changed the task's state"),
    Rule("process crashed", _INFRA, 0.6,
        text=r"SIGSEGV|Segmentation fault|SIGABRT|core dumped|SIGBUS|SIGILL|return ?code (?:-11|139|-6|134)\b",
        reason="native code crashed"),
    # --- resources
    Rule("disk full", _INFRA, 0.95,
        text=r"No space left on device|ENOSPC|Errno 28|[Dd]isk quota exceeded|disk (?:is )?full|could not extend file",
         reason="the disk is full", action="Free or enlarge the disk of the worker or database; then clear the failed task."),
    Rule("memory", _INFRA, 0.85,
        text=r"Unable to allocate .{1,20}[GT]iB|[Cc]annot allocate memory|OutOfMemoryError|Java heap space|GC overhead limit"
        r"|[Oo]ut of memory|MemoryError|[Mm]emory limit .{0,40}exceeded|EXCEEDED_\w{0,20}MEMORY|OOM command",
         reason="memory ran out", action="Give the task more memory or make it smaller; then clear the failed task."),
    Rule("system resource", _INFRA, 0.9,
        text=r"Too many open files|Errno (?:5|24|116)\b|Input/output error|Stale file handle|Resource temporarily unavailable"
        r"|can't start new thread|Errno 30\b|Read-only file system|cluster_block_exception|circuit_breaking_exception"
        r"|ORA-0155[05]|ORA-0165\d|ORA-04031|ORA-000(?:18|20)",
         reason="the machine ran out of a resource", action=_RETRY.format(what="the machine is healthy")),
    # --- databases that are busy or away
    Rule(
        "database locked", _INFRA, 0.92,
        text=r"database is locked|[Dd]eadlock (?:detected|found)|deadlocked|state lock|being accessed by other users"
        r"|OperationAborted|[Cc]onflicting (?:conditional )?operation"
        r"|Lock wait timeout|could not obtain lock"
        r"|could not serialize access|LockNotAvailable"
        r"|canceling statement due to lock timeout|ORA-00060|ORA-00054|ConcurrentAppendException|ConcurrentModification",
        reason="the database was locked by someone else", action=_RETRY.format(what="the other transaction is over"),
    ),
    Rule(
        "database away", _INFRA, 0.93,
        text=r"database system is (?:starting up|shutting down|in recovery)|too many (?:connections|clients)"
        r"|remaining connection slots"
        r"|read[- ]?only (?:transaction|replica|option|mode|database)|not primary\b|NotPrimary|NotMaster|loading the dataset"
        r"|in safe mode|terminating connection due to|server closed the connection|Lost connection to|MySQL server has gone away"
        r"|blocked because of many connection errors|connection (?:is|was|already) closed|SSL SYSCALL error"
        r"|could not connect to server|Can't connect to|connection to server at .{1,120}failed"
        r"|warehouse .{0,60}(?:suspended|cannot be resumed)|ORA-125\d\d|ORA-03113|ORA-03135",
        reason="the database was away or refused more connections", action=_RETRY.format(what="the database answers"),
    ),
    Rule("no right by type", _INFRA, 0.9,
        types=r"(?:Forbidden|PermissionDenied|AccessDenied\w*|InsufficientPrivilege|Unauthorized)$",
        reason="the login lacks a right",
        action="Grant the missing right, or use a connection that has it; then clear the failed task."),
    Rule("value in SQL", _DATA, 0.84,
        text=r"stl_load_errors|Load into table .{1,120} failed"
        r"|(?:Numeric|Date|Timestamp|Boolean) value .{1,120} is not recognized"
        r"|DML operation to table .{1,120} failed on column",
        reason="a value does not have the form the statement expects"),
    # --- SQL that cannot work, before the words that also occur in network errors
    Rule(
        "wrong SQL", _CODE, 0.86,
        text=r"(?:relation|column|table|schema|function|type|operator|view|database|object|dataset) .{1,160}(?:does not exist"
        r"|doesn't exist|not found|not exist)"
        r"|no such (?:table|column|function)|syntax error (?:at or near|in SQL|line)|You have an error in your SQL syntax"
        r"|SQL compilation error|invalid identifier|Unrecognized name|[Uu]nknown column"
        r"|UNRESOLVED_COLUMN|TABLE_OR_VIEW_NOT_FOUND|AnalysisException|(?<![A-Za-z])ParseException|PARSE_SYNTAX_ERROR"
        r"|cannot (?:be )?resolved?"
        r"|Invalid (?:object|column) name|ORA-009\d\d|Binder Error|Catalog Error|Parser Error:"
        r"|must appear in the GROUP BY|ambiguous|No matching signature|Referenced column|[Tt]able .{0,120}not found"
        r"|SemanticException|Not found: Table|Missing columns: |improper (?:relation|qualified) name"
        r"|(?:relation|table|column|view|schema|index|constraint|type|database|object) .{1,160}already exists"
        r"|There is already an object named",
        reason="the statement names something that is not there, or does not parse",
    ),
    Rule(
        "dbt does not compile", _CODE, 0.9,
        text=r"depends on a node named|Compilation Error|Parsing Error|dbt found (?:two|\d+) "
        r"|was not found in (?:the )?(?:manifest|project)|is undefined|macro .{1,80}(?:takes|not found)"
        r"|is not a valid (?:node|model)|Contract Error|enforced contract",
        reason="the dbt project does not compile",
    ),
    Rule("template", _CODE, 0.9,
        types=r"(?:TemplateNotFound|UndefinedError|TemplateSyntaxError|TemplateAssertionError|TemplatesNotFound)$",
        reason="a template is missing or wrong"),
    Rule("template by text", _CODE, 0.85,
        text=r"not found in search path|TemplateNotFound|jinja2\.exceptions",
        reason="a template is missing or wrong"),
    Rule(
        "wrong command line", _CODE, 0.85,
        text=r"line \d+: .{1,120}(?:unbound variable|not set|syntax error|bad substitution|unexpected|not a valid identifier"
        r"|too many arguments|operator expected)|not a git repository|(?:Not|Is) a directory|Invalid value for ['\"-]"
        r"|\bmkdir: .{1,120}File exists|xlsx file; not supported|\.(?:sh|py|pl|rb|R|jar): Permission denied"
        r"|No rule to make target|missing script"
        r"|unknown (?:flag|command"
        r"|option|subcommand)|\b(?:awk|sed|jq|perl)\b"
        r".{0,40}(?:syntax error|unterminated|unknown)|No such option|no such option|[Uu]nrecognized (?:arguments"
        r"|(?:VM )?option)|invalid (?:choice|option)"
        r"|missing (?:argument|option|\d+ required)"
        r"|the following arguments are required|Missing (?:option|argument|parameter)|unexpected keyword"
        r"|positional argument|Got unexpected extra|can't open file|syntax error near|syntax error: unexpected end of file",
        reason="the command was called in a wrong way",
    ),
    Rule(
        "wrong use of Airflow", _CODE, 0.85,
        text=r"DuplicateTaskId|[Cc]ycle detected|cannot serialize object|is not JSON serializable|missing keyword argument"
        r"|Invalid arguments were passed"
        r"|Dag .{1,120}(?:not found|could not be found)|[Tt]ask .{1,120}not found in D|Tried to set relationships"
        r"|XCom .{1,80}(?:not found|None)",
        reason="Airflow was used in a wrong way",
    ),
    # --- credentials and rights
    Rule(
        "login refused", _INFRA, 0.92,
        text=r"[Aa]uthentication failed|password authentication failed|Access denied for user|[Ll]ogin (?:failed|incorrect)"
        r"|Incorrect username or password|ExpiredToken"
        r"|InvalidClientTokenId|InvalidAccessKeyId|SignatureDoesNotMatch|[Tt]oken (?:has |is )?(?:been )?(?:expired"
        r"|revoked|invalid)|invalid_grant|Invalid credentials|Bad credentials|\b401\b.{0,40}(?:Unauthorized|Client Error)"
        r"|Unauthorized|[Uu]nauthenticated|AADSTS\d+|HTTP ?401|(?:keys?|secret|token|password|credentials?) .{0,80}(?:is"
        r"|are|has|have) expired|invalid authentication credentials|logon denied"
        r"|ORA-01017|security token included in the request|AuthenticationError|could not refresh"
        r"|Permission denied \(publickey|JWT token is invalid",
        reason="the login was refused",
        action="Renew the credentials of the connection that was used; then clear the failed task.",
    ),
    Rule("no credentials", _INFRA, 0.8,
        text=r"Unable to locate credentials|NoCredentials|DefaultCredentialsError|default credentials were not found"
        r"|No credentials",
        reason="no credentials were found",
         action="Give the worker or the connection its credentials; then clear the failed task."),
    Rule(
        "no right", _INFRA, 0.91,
        text=r"AccessDenied|Access ?Denied"
        r"|[Pp]ermission denied (?:for|on) (?:table|schema|relation|database|view|sequence|function)|not authorized to"
        r"|[Ii]nsufficient (?:privileges|permissions?|access)|PERMISSION_DENIED|AuthorizationFailed"
        r"|AuthorizationException|HTTP ?403|refused credentials"
        r"|\b403\b.{0,40}(?:Forbidden|Client Error)|\bForbidden\b|is forbidden: |does not have .{1,80}(?:permission"
        r"|privilege|access to)"
        r"|must be owner of|InsufficientPrivilege|ORA-01031|UnauthorizedOperation|KMS\.\w*(?:Disabled|Denied)\w*",
        reason="the login lacks a right",
        action="Grant the missing right, or use a connection that has it; then clear the failed task.",
    ),
    Rule("no right to a file", _INFRA, 0.9, text=r"Permission denied|Errno 13|EACCES",
        reason="the worker's user may not do this",
        action="Give the worker's user the right to the file or socket; then clear the failed task."),
    Rule("clock", _INFRA, 0.92, text=r"RequestTimeTooSkewed|[Cc]lock skew|[Tt]oken used too early|not yet valid",
        reason="the machine's clock is off",
        action="Set the worker's clock (NTP); then clear the failed task."),
    # --- network and services
    Rule("not resolved", _INFRA, 0.93,
        text=r"Name or service not known|Temporary failure in name resolution|[Cc]ould not resolve host|nodename nor servname"
        r"|getaddrinfo|ENOTFOUND|EAI_AGAIN|UnknownHost|could not translate host name|No address associated|NameResolutionError"
        r"|Failed to resolve",
         reason="a host name did not resolve", action=_RETRY.format(what="the host resolves (DNS, connection's host)")),
    Rule(
        "not reached", _INFRA, 0.92,
        text=r"[Cc]onnection ?[Rr]efused|[Cc]onnection ?[Rr]eset|[Cc]onnection aborted|RemoteDisconnected|Remote end closed"
        r"|Broken ?pipe|Network is unreachable|No route to host|Max retries exceeded"
        r"|ECONNREFUSED|ECONNRESET|EHOSTUNREACH|NewConnectionError|Failed to establish a new connection|EndpointConnectionError"
        r"|Could not connect to the endpoint|NoBrokersAvailable|Connection closed|ServerSelectionTimeout|failed to connect"
        r"|Failed to connect|UNAVAILABLE\b"
        r"|Unable to connect to|SSH protocol banner|[Cc]onnection unexpectedly closed|IncompleteRead|ChunkedEncodingError"
        r"|connection broken|[Ss]erver disconnected|ConnectionError|Cannot connect to"
        r"|Errno 1(?:01|04|10|11|13)\b",
        reason="a service could not be reached", action=_RETRY.format(what="the service answers"),
    ),
    Rule("TLS", _INFRA, 0.91,
        text=r"CERTIFICATE_VERIFY_FAILED|certificate (?:verify failed|has expired)|TLS/SSL connection has been closed"
        r"|SSLZeroReturnError|SSLEOFError|SSLError|SSL: [A-Z_]+|tlsv1"
        r"|unable to get local issuer|SSLHandshakeException|PKIX path|BadHostKeyException"
        r"|[Hh]ost key .{0,120}(?:does not match|verification failed)",
        reason="a TLS certificate was not trusted",
        action="Renew or trust the service's certificate; then clear the failed task."),
    Rule("rate limit", _INFRA, 0.93,
        text=r"(?:HTTP|status(?: code)?|error|\() ?:?=? ?429\b|\b429\b.{0,30}(?:Client Error|Too ?Many|[Qq]uota"
        r"|[Rr]esource)|Too ?Many ?Requests|[Rr]ate ?limit|[Rr]ate exceeded|Throttl|SlowDown|RESOURCE_EXHAUSTED"
        r"|[Qq]uota ?(?:has been )?exceeded|[Qq]uota .{0,60}exceeded|exceeded quota|resource monitor|quotaExceeded"
        r"|[Ee]xceeded .{0,40}(?:quota|rate|limit)s?\b"
        r"|ProvisionedThroughputExceeded|insufficient_quota|LimitExceeded",
         reason="a quota or rate limit was reached", action="Raise the quota or spread the calls; then clear the failed task."),
    Rule("service down", _INFRA, 0.92,
        text=r"\b50[234]\b.{0,40}(?:Server Error|Bad Gateway|Service|Gateway)|Service (?:is )?(?:Temporarily )?Unavailable"
        r"|[Ss]ervice not available|SMTPConnectError|ServerBusy|server is busy|returned error: 50[234]|Bad Gateway"
        r"|Gateway Time-?out|temporarily unavailable"
        r"|ServiceUnavailable|backendError|InternalServerError"
         r"|status(?: code)?[:= ]+50[234]\b|HTTP(?:/\d\S*)? ?50[234]\b|HTTP(?:/\d\S*)? error:? 50[234]|under maintenance",
         reason="a service was down", action=_RETRY.format(what="the service is back")),
    Rule("service error", _INFRA, 0.82,
        text=r"\b500\b.{0,40}(?:Server Error|Internal)|Internal ?Server ?Error|InternalFailure|INTERNAL_ERROR|\(InternalError\)"
        r"|encountered an internal error|An internal error occurred",
        reason="a service failed"),
    Rule("cluster full or away", _INFRA, 0.92,
        text=r"FailedScheduling|Insufficient (?:cpu|memory)|Pod took (?:too long|longer)|PodLaunchTimeout|[Dd]ocker daemon"
        r"|CapacityError|InsufficientInstanceCapacity|STOCKOUT|DRIVER_UNRESPONSIVE",
        reason="the cluster had no room or was away", action=_RETRY.format(what="the cluster has room")),
    Rule("cluster", _INFRA, 0.88,
        text=r"ImagePullBackOff|ErrImagePull|CrashLoopBackOff|CreateContainerConfigError|cluster .{0,60}terminat"
        r"|http\+docker:|pull access denied|manifest unknown|[Ii]mageNotFound|Unable to find image"
        r"|[Cc]luster (?:is )?not (?:running|available)|Container image .{0,80}(?:not|cannot)"
        r"|reported that the task instance .{0,400}finished with state failed",
        reason="the cluster could not run it",
         action="Look at the cluster (image, capacity, scheduling); then clear the failed task."),
    Rule("sensor timeout", _INFRA, 0.55,
        text=r"[Ss]ensor has timed out|Snap\. Time is OUT",
        reason="what the sensor waited for did not come"),
    Rule("task timeout", _INFRA, 0.8,
        types=r"AirflowTaskTimeout$|TaskDeferralTimeout$|AirflowTaskTerminated$",
        reason="the task ran into its execution timeout"),
    Rule("timeout", _INFRA, 0.9,
        text=r"[Tt]imed ?out|[Tt]ime-?out (?:error|expired|exceeded|waiting)|[Dd]eadline ?[Ee]xceeded|ETIMEDOUT"
        r"|statement timeout|reached its .{0,40}timeout|\bTimeout\b|QueryCanceled",
        reason="a service did not answer in time",
         action=_RETRY.format(what="the service answers in time")),
    Rule("timeout by type", _INFRA, 0.9,
        types=r"(?:\w*Timeout(?:Error)?|DeadlineExceeded)$",
        reason="a service did not answer in time",
        action=_RETRY.format(what="the service answers in time")),
    # --- values
    Rule("index", _CODE, 0.72, types=r"^IndexError$", reason="the code took an element that is not there"),
    Rule("index by text", _CODE, 0.72, text=r"[Ii]ndex out of (?:range"
    r"|bounds)", reason="the code took an element that is not there"),
    Rule(
        "constraint", _DATA, 0.86,
        text=r"(?:NOT NULL|UNIQUE|CHECK|FOREIGN KEY|PRIMARY KEY) constraint|duplicate key|violates (?:not-null|foreign key"
        r"|check|unique|row-level)|Duplicate entry|cannot be null|ORA-00001|ORA-01400"
        r"|not unique|NULL result in a non-nullable|UniqueViolation|NotNullViolation|ForeignKeyViolation|CheckViolation"
        r"|cannot affect row a second time|ConditionalCheckFailed|conditional request failed|duplicate (?:rows?|values"
        r"|records|keys)|Duplicate keys?",
        reason="a row breaks a constraint",
    ),
    Rule(
        "value does not fit", _DATA, 0.84,
        text=r"invalid input syntax for|could not convert string|invalid literal for|out of range|is not recognized"
        r"|value too long|[Dd]ata too long|String or binary data would be truncated|ConversionSyntax|Conversion Error"
        r"|could not convert"
        r"|time data .{1,120}match|[Uu]nknown (?:datetime )?string format|unconverted data remains|OutOfBounds"
        r"|must be in (?:range )?1?\.\.|date/time field value|Invalid (?:date|timestamp|number|json|JSON|isoformat)"
        r"|Cannot cast|CAST_INVALID|cannot be cast|Error converting|Failed to cast|Bad (?:int|double|date)"
        r"|[Cc]ould not (?:be parsed?|parse)|cannot convert|Incorrect \w{1,20} value|invalid number|value too large|strconv\."
        r"|Conversion failed for column|is not a valid value of|[Ii]nvalid numeric literal|mapper_parsing_exception"
        r"|ORA-0184\d|ORA-0186\d|ORA-0185\d|ORA-01438"
        r"|ungültige Eingabesyntax|syntaxe en entrée invalide|sintaxis de entrada no|NumberFormatException|bad value"
        r"|[Uu]nexpected (?:null|value)|contains? (?:null"
        r"|NaN|invalid)|Cannot convert non-finite|NaN",
        reason="a value does not have the form the code expects",
    ),
    Rule("value by type", _DATA, 0.82,
        types=r"(?:NumericValueOutOfRange|StringDataRightTruncation|InvalidTextRepresentation|InvalidDatetimeFormat"
        r"|DatetimeFieldOverflow|DataError|IntegrityError|MergeError|InvalidOperation|DateParseError|OutOfBoundsDatetime"
        r"|ConversionException|OverflowError)$",
         reason="a value does not have the form the code expects"),
    Rule(
        "malformed input", _DATA, 0.82,
        text=r"Expecting (?:value|property|',')|Error tokenizing data|No columns to parse|Extra data: line|Unterminated string"
        r"|CSV (?:parse )?[Ee]rror|Malformed|malformed|not a (?:zip|gzip)|magic (?:bytes|number)|codec can't decode"
        r"|Invalid UTF-?8|corrupt|truncated|mismatched tag|not well-formed"
        r"|Unexpected end of|Passed header|Length mismatch|MALFORMED_RECORD|Error parsing|Error while reading data"
        r"|[Ee]xpected \d+ (?:fields|columns|values)|did not have \d+ elements|[Nn]umber of columns in file|line contains NUL"
        r"|is it an? \w+ file\?|cannot read header|extra data after last expected|missing data for column"
        r"|[Cc]annot parse input|invalid byte sequence|decompress"
        r"|checksum|ended before the end-of-stream|not valid (?:JSON|XML|CSV|UTF)|parser error|unexpected end of file"
        r"|unexpected (?:EOF|token)|CRC (?:error|check)",
        reason="the input is malformed",
    ),
    Rule("wrong SQL by type", _CODE, 0.85,
        types=r"(?:UndefinedColumn|UndefinedTable|UndefinedFunction|AmbiguousColumn|ProgrammingError|ArgumentError"
        r"|NoSuchTableError|NoSuchColumnError|InvalidRequestError|CompileError|AnalysisException)$",
         reason="the statement or table definition is wrong"),
    Rule("malformed by type", _DATA, 0.8,
        types=r"(?:BadCopyFileFormat|CharacterNotInRepertoire|UntranslatableCharacter|ReadError|LZMAError|InvalidFileException"
        r"|XLRDError|BadRecordException|JsonEOFException|DocumentInvalid|EOFException|JsonParseException|JSONDecodeError"
        r"|ParserError|EmptyDataError|UnicodeDecodeError"
        r"|BadZipFile|BadGzipFile|XMLSyntaxError"
        r"|ExpatError|ArrowInvalid|ValidationError|UnicodeError)$",
        reason="the input is malformed"),
    Rule("input missing", _DATA, 0.6,
        text=r"No such file or directory: ['\"][^'\"]{1,200}\.(?:csv|tsv|parquet|xlsx?|xml|avro|orc|jsonl|ndjson|gz|zip|dat)['\"]"
        r"|\b550\b.{0,120}(?:not found|No such file)|NoSuchKey|The specified key does not exist|No such (?:object|key)"
        r"|blob .{0,60}does not exist|No (?:files?|data"
        r"|records|rows) (?:found|returned|available|for)|[Ee]mpty (?:file|dataset|data ?frame|result)|is empty"
        r"|BlobNotFound",
        reason="the input is missing or empty"),
    # --- the rest of code
    Rule("own check", _DATA, 0.7,
        types=r"(?:Error|Exception)$",
        text=r"\b(?:row|record|line|entry|item)s? (?:#|no\.? |number )?\d+\b|\b(?:row|record)s?[ _](?:count|mismatch)"
        r"|\b(?:no|zero|\d+) (?:\w+ )?(?:rows?|records?|nulls?"
        r"|duplicates?)\b|[Dd]uplicate"
        r"|\bnulls?\b|threshold|anomal|out of (?:bounds|balance)|reconcil|\bstale\b|mismatch|negative"
        r"|[Mm]issing (?:values|dates?|data)"
        r"|changed type|schema (?:drift|change)"
        r"|[Uu]nexpected (?:columns?|schema|values?)|[Ii]nvalid (?:values?|rows?|records?|data)",
        reason="a check of the task's own found the data wrong"),
    Rule("division", _CODE, 0.6, text=r"[Dd]ivi(?:sion|ded?) by zero", reason="a division by zero"),
    Rule("lookup", _CODE, 0.72,
        types=r"^(?:KeyError|IndexError|LookupError|StopIteration|ZeroDivisionError|AssertionError|InvalidIndexError"
        r"|UnboundLocalError)$",
        reason="the code looked up something that is not there"),
    Rule("client error", _CODE, 0.6,
        text=r"\b4(?:0[045]|15|22)\b.{0,40}(?:Client Error|Not Found|Bad Request|Unprocessable)|HTTP ?4\d\d",
        reason="a request was refused as wrong"),
    Rule("path", _CODE, 0.6,
        text=r"No such file or directory|does not exist|FileNotFound|PATH_NOT_FOUND|Path .{1,200}not found",
        reason="a path is not there"),
    Rule("database", _INFRA, 0.6,
        types=r"(?:OperationalError|InterfaceError|DisconnectionError)$",
        reason="the database refused to work"),
    Rule("operating system", _INFRA, 0.6,
        types=r"(?:ConnectionError|OSError|IOError|SSLError|URLError|BrokenPipeError|ConnectionResetError|gaierror)$",
        reason="the system or network refused"),
)
# fmt: on
