"""A shop's DAGs as the pictures show them, how they fail, and what a scripted model does about it."""

from __future__ import annotations

from airflow_agentfix.demo.shop import DAG_ID
from tests.e2e.production import FIX_FILE
from tests.fakes.messages_api import Entry, call, text

RUN = "daily_2026-11-26"
ASKS, FIXED, REPORTED, UNTOUCHED = DAG_ID, "customer_features", "stock_levels", "invoice_export"
INVOICES = "dags/shop/invoices.py"
CUSTOMERS = "dags/shop/customers.py"
STOCK = "dags/shop/stock.py"

FILES = {
    INVOICES: '''"""Invoices of a day."""

from __future__ import annotations

INVOICES = [{"number": "2026-1", "net_cents": 12900, "tax_cents": 2451}, {"number": "2026-2", "net_cents": 890, "tax_cents": 169}]


def of_day() -> list[dict]:
    return INVOICES


def total(invoices: list[dict]) -> float:
    """What customers owe, in euros."""
    return sum(one["net_cents"] + one["tax_cents"] for one in invoices) / 100
''',
    CUSTOMERS: '''"""Customers and what is known of them."""

from __future__ import annotations


def features(rows: list[dict]) -> list[dict]:
    """One row a customer: how often and for how much they bought."""
    return [{"customer": row["id"], "orders": len(row["orders"]), "spent": sum(row["order"])} for row in rows]
''',
    STOCK: '''"""Stock of the warehouses."""

from __future__ import annotations

import socket


def read(host: str, port: int) -> bytes:
    with socket.create_connection((host, port), timeout=2) as warehouse:
        return warehouse.recv(100)
''',
    "dags/warehouse.py": '''"""DAGs of the shop for airflow: invoices, customers, stock."""

from __future__ import annotations

from airflow.sdk import DAG, Asset, task
from airflow_agentfix import agentfix_on_failure
from shop import customers, invoices, stock

ledger, features = Asset("s3://shop/ledger.parquet"), Asset("s3://shop/customer_features.parquet")
finance = {"owner": "finance"}
watched = {"owner": "analytics", "on_failure_callback": agentfix_on_failure()}

with DAG("invoice_export", schedule=None, is_paused_upon_creation=False, default_args=finance, tags=["finance"]):

    @task(inlets=[Asset("s3://shop/invoices.csv")])
    def read_invoices() -> list[dict]:
        return invoices.of_day()

    @task(outlets=[ledger])
    def total_invoices(rows: list[dict]) -> float:
        print(f"{len(rows)} invoices")
        return invoices.total(rows)

    @task
    def send_to_bank(total: float) -> None:
        print(total)

    send_to_bank(total_invoices(read_invoices()))

with DAG("monthly_closing", schedule=[ledger], is_paused_upon_creation=True, tags=["finance"]):

    @task
    def close() -> None: ...

    close()

with DAG("customer_features", schedule=None, is_paused_upon_creation=False, default_args=watched, tags=["analytics"]):

    @task
    def read_customers() -> list[dict]:
        return [{"id": 1, "orders": [4990, 990]}, {"id": 2, "orders": [1250]}]

    @task(outlets=[features])
    def load_customers(rows: list[dict]) -> list[dict]:
        return customers.features(rows)

    load_customers(read_customers())

with DAG("stock_levels", schedule=None, is_paused_upon_creation=False, default_args=watched, tags=["warehouse"]):

    @task
    def read_stock() -> int:
        return len(stock.read("127.0.0.1", 9))

    read_stock()
''',
}


def broken(invoices: str) -> str:
    """The commit after which invoices are exported no more."""
    return invoices.replace('"tax_cents":', '"vat_cents":')


def _reports(call_id: str, cause: str, *claims: tuple[str, str], outcome: str = "fixed", verdict: str = "code") -> Entry:
    chain = [{"claim": claim, "cites": [cite]} for claim, cite in claims]
    return [call("submit_report", call_id, verdict=verdict, root_cause=cause, outcome=outcome, causal_chain=chain)]


SCRIPTS: dict[str, list[Entry]] = {
    f"{ASKS}/": [
        [
            text("`money.to_euro` is not there. I look at who calls it, and at what changed."),
            call("search_code", "a1", pattern=r"to_euros?\b"),
            call("read_file", "a2", path=FIX_FILE),
        ],
        [
            text("The helper was renamed to **`to_euros`**; `revenue.py` still calls it by its old name. Nobody else does."),
            call("change_files", "a3", edits=[{"path": FIX_FILE, "old": "money.to_euro(", "new": "money.to_euros("}]),
        ],
        [
            call(
                "open_fix",
                "a4",
                title="Call money.to_euros by its new name",
                summary="`money.to_euro` was renamed to `to_euros`; `revenue.by_country` was missed.",
            )
        ],
        [call("rerun", "a5")],
        _reports("a6", "revenue.py calls money.to_euro, which was renamed", ("The call has the old name.", f"{FIX_FILE}:15")),
    ],
    f"{FIXED}/": [
        [text("A `KeyError` on `order`. I read the code it comes from."), call("read_file", "f1", path=CUSTOMERS)],
        [
            text("The rows hold `orders`; one of the two places that read it says `order`."),
            call("change_files", "f2", edits=[{"path": CUSTOMERS, "old": 'row["order"]', "new": 'row["orders"]'}]),
        ],
        [call("open_fix", "f3", title="Sum up the orders", summary="The key is `orders`, as the line itself has it before.")],
        [call("rerun", "f4")],
        _reports(
            "f5",
            "customers.features reads the key 'order'; rows hold 'orders'",
            ("The sum reads `order`.", f"{CUSTOMERS}:8"),
            ("The count beside it reads `orders`.", f"{CUSTOMERS}:8"),
        ),
    ],
    f"{REPORTED}/": [
        _reports(
            "r1",
            "The warehouse at 127.0.0.1:9 refuses connections",
            ("The connection is made to the warehouse's host.", f"{STOCK}:9"),
            outcome="reported",
            verdict="infra",
        )
    ],
}
