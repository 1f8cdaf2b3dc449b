"""Python's own names: real code that fails for real, fixed where one name can be meant and left alone everywhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models.conversation import converse, fail, write

HELPER = '''"""Orders."""

COUNTRIES = ("DE", "FR")


class Loader:
    batch_size = 10

    def __init__(self, table_name):
        self.connection = None
        self.table_name = table_name

    def load_rows(self, rows, *, overwrite=False):
        return len(rows)


def clean_orders(orders, drop_empty=True):
    return [order for order in orders if order]


def summarise(orders):
    return {"total": sum(order["amount"] for order in orders)}
'''
GETATTR = """def __getattr__(n): raise AttributeError(f"{0} has no attribute '{{n}}'")\n"""
ROWS = 'ORDERS = [{"order_id": 1, "amount": 5, "country": "DE"}]\n'


def _cases(**cases: tuple[str, str, str]) -> list[object]:
    return [pytest.param(*case, id=name) for name, case in cases.items()]


FIXED = _cases(
    module_function=("import helper\nhelper.clean_order([1])\n", "helper.clean_order(", "helper.clean_orders("),
    module_constant=("import helper\nprint(helper.COUNTIRES)\n", "COUNTIRES", "COUNTRIES"),
    module_under_an_alias=("import helper as h\nh.sumarise([])\n", "sumarise", "summarise"),
    method=("import helper\nloader = helper.Loader('t')\nloader.load_row([])\n", "load_row(", "load_rows("),
    instance_attribute=("import helper\nprint(helper.Loader('t').conection)\n", "conection", "connection"),
    class_attribute=("import helper\nprint(helper.Loader.batch_sise)\n", "batch_sise", "batch_size"),
    builtin_method=("rows = []\nrows.apend(1)\n", "apend", "append"),
    variable=("def run():\n    total_amount = 1\n    return total_ammount + 1\n\nrun()\n", "total_ammount", "total_amount"),
    parameter=("def run(customer):\n    return custommer\n\nrun(1)\n", "custommer", "customer"),
    called_function=("def clean_rows(rows):\n    return rows\n\nclean_row([])\n", "\nclean_row(", "\nclean_rows("),
    comprehension_variable=("print([contry for country in 'ab'])\n", "contry", "country"),
    builtin_name=("pritn = None\ndel pritn\nprint(sortedd([2, 1]))\n", "sortedd", "sorted"),
    missing_standard_import=("from math import pi\n\nprint(json.dumps([pi]))\n", "from math", "import json\nfrom math"),
    import_of_a_name=("from helper import clean_order\n\nclean_order([])\n", "clean_order", "clean_orders"),
    import_under_an_alias=("from helper import clean_order as tidy\n\ntidy([])\n", "clean_order ", "clean_orders "),
    import_inside_a_task=("def task():\n    from helper import sumarise\n    sumarise([])\n\ntask()\n", "sumarise", "summarise"),
    module_name=("from helpr import clean_orders\n", "helpr", "helper"),
    keyword=("import helper\nhelper.clean_orders([], drop_emtpy=True)\n", "drop_emtpy", "drop_empty"),
    keyword_of_a_method=("import helper\nhelper.Loader('t').load_rows([], overwite=True)\n", "overwite", "overwrite"),
    keyword_of_a_constructor=("import helper\nhelper.Loader(tabel_name='t')\n", "tabel_name", "table_name"),
    keyword_of_a_dataclass=(
        "from dataclasses import dataclass\n\n@dataclass\nclass Order:\n    amount: int\n\nOrder(amuont=1)\n",
        "(amuont",
        "(amount",
    ),
    key_of_a_literal_named_so=("RATES = {'EURO': 1, 'DOLLAR': 2}\nprint(RATES['DOLAR'])\n", "DOLAR", "DOLLAR"),
    key_read_elsewhere_from_the_same_name=(
        ROWS + "for row in ORDERS:\n    print(row['country'])\n    print(row['contry'])\n",
        "'contry'",
        "'country'",
    ),
    key_of_the_literal_that_has_the_others=(
        ROWS + "for row in ORDERS:\n    print(row['order_id'], row['amuont'])\n",
        "amuont",
        "amount",
    ),
    key_in_another_case=(ROWS + "for row in ORDERS:\n    print(row['amount'], row['orderId'])\n", "orderId", "order_id"),
    key_over_several_lines=(
        ROWS + "for row in ORDERS:\n    print(\n        row['order_id'],\n        row['amuont'],\n    )\n",
        "amuont",
        "amount",
    ),
)


@pytest.mark.parametrize(("dag", "old", "new"), FIXED)
def test_the_one_name_that_can_be_meant_is_written(tmp_path: Path, dag: str, old: str, new: str) -> None:
    write(tmp_path, dags__dag_py=dag, dags__helper_py=HELPER, README_md="clean_orders\n")
    story = converse(tmp_path, fail(tmp_path))
    assert story.outcome == "fixed", story.report["root_cause"]
    assert story.changed == {"dags/dag.py": dag.replace(old, new)}


@pytest.mark.parametrize(
    ("dag", "files"),
    [
        pytest.param(dag, files, id=name)
        for name, (dag, files) in {
            "two_near_functions": (
                "import many\nmany.load_order(1)\n",
                {"dags__many_py": "def load_orders(): ...\ndef load_orderz(): ...\n"},
            ),
            "another_meaning": ("import many\nmany.max_price()\n", {"dags__many_py": "def min_price(): ...\n"}),
            "defined_elsewhere_in_the_repository": (
                "import helper\nhelper.clean_order([1])\n",
                {"dags__single_py": "def clean_order(order): ...\n"},
            ),
            "used_elsewhere_too": (
                "import helper\nhelper.clean_order([1])\n",
                {"dags__two_py": "import helper\nhelper.clean_order([2])\n"},
            ),
            "used_in_a_test": (
                "import helper\nhelper.clean_order([1])\n",
                {"tests__test_helper_py": "from helper import clean_order\n"},
            ),
            "module_getattr": (
                "import many\nmany.load_order\n",
                {"dags__many_py": "def load_orders(): ...\n" + GETATTR.format("module 'many'")},
            ),
            "module_with_star_import": (
                "import many\nmany.load_order()\n",
                {"dags__many_py": "from math import *\ndef load_orders(): ...\n"},
            ),
            "near_only_in_a_comment": (
                "import many\nmany.load_ordrs()\n",
                {"dags__many_py": "# load_orders\nX = 'load_orders'\n"},
            ),
            "near_only_in_tests": (
                "import many\nmany.load_ordrs()\n",
                {"dags__many_py": "", "tests__test_many_py": "def load_orders(): ...\n"},
            ),
            "reached_by_getattr": ("import helper\nname = 'clean_order'\ngetattr(helper, name)\n", {}),
            "standard_module": ("import json\njson.dumpz([1])\n", {}),
            "none_has_no_attributes": ("row = None\nrow.apend(1)\n", {}),
            "dict_taken_for_an_object": ("order = {'a': 1}\nprint(order.value)\n", {}),
            "attribute_of_a_builtin_not_called": ("rows = []\nprint(rows.apend)\n", {}),
            "class_defined_twice": (
                "class Order:\n    amount = 1\n\nprint(Order.amout)\n",
                {"dags__other_py": "class Order:\n    amout_total = 1\n"},
            ),
            "class_with_getattr": (
                "class Order:\n    amount = 1\n    "
                + GETATTR.replace("(n)", "(self, n)").format("'Order' object")
                + "\nprint(Order().amout)\n",
                {},
            ),
            "class_with_a_foreign_base": (
                "import collections\n\nclass Order(collections.UserDict):\n    amount = 1\n\nprint(Order().amout)\n",
                {},
            ),
            "attribute_written": ("class Order:\n    __slots__ = ('amount',)\n\nOrder().amout = 1\n", {}),
            "twice_on_the_line": ("import helper\nprint(helper.clean_order, helper.clean_order)\n", {}),
            "two_near_variables": ("def run():\n    result = 1\n    results = [1]\n    return reuslt\n\nrun()\n", {}),
            "singular_and_plural_variables": ("def run():\n    rows_seen = [1]\n    return row_seen\n\nrun()\n", {}),
            "variable_defined_elsewhere": (
                "def run(country):\n    return contry\n\nrun(1)\n",
                {"dags__const_py": "contry = 1\n"},
            ),
            "name_of_another_function_only": (
                "def other():\n    amount_total = 1\n\ndef run():\n    return amount_totl\n\nrun()\n",
                {},
            ),
            "star_import_in_the_file": ("from math import *\n\ndef run(country):\n    return contry\n\nrun(1)\n", {}),
            "short_name": ("def run(row):\n    return rwo\n\nrun(1)\n", {}),
            "standard_name_used_as_something_else": ("print(datetime.now())\n", {}),
            "import_with_two_near": (
                "from many import load_order\n",
                {"dags__many_py": "def load_orders(): ...\ndef load_orderz(): ...\n"},
            ),
            "import_defined_elsewhere": (
                "from helper import clean_order\n",
                {"dags__single_py": "def clean_order(order): ...\n"},
            ),
            "import_from_the_standard_library": ("from json import dumpz\n", {}),
            "circular_import": (
                "import first\n",
                {
                    "dags__first_py": "from second import load_order\ndef load_orders(): ...\n",
                    "dags__second_py": "from first import load_order\n",
                },
            ),
            "module_of_a_package_never_seen": ("from pandass import DataFrame\n", {}),
            "near_module_without_the_name": ("from helpr import render\n", {}),
            "keyword_with_two_near": (
                "def load(table_name=1, table_names=2): ...\n\nload(table_nam=1)\n",
                {},
            ),
            "keyword_given_already": ("import helper\nhelper.clean_orders([], drop_empty=True, drop_emty=False)\n", {}),
            "keyword_through_kwargs": ("import helper\nhelper.clean_orders([], **{'drop_emtpy': True})\n", {}),
            "keyword_of_a_function_defined_twice": (
                "import helper\nhelper.clean_orders([], drop_emtpy=True)\n",
                {"dags__b_py": "def clean_orders(a): ...\n"},
            ),
            "keyword_of_a_builtin": ("print(1, ennd='')\n", {}),
            "key_from_data": (ROWS + "key = 'DE'\nprint({'DEE1': 1}[key])\n", {}),
            "key_computed": ("RATES = {'EURO': 1}\nname = 'EURRO'\nprint(RATES[name])\n", {}),
            "key_with_two_near": ("ROW = {'amount_a': 1, 'amount_b': 2}\nprint(ROW['amount_'])\n", {}),
            "key_of_another_record": ("OTHER = {'amount': 1}\ndef run(row):\n    return row['amuont']\n\nrun({})\n", {}),
            "key_written_elsewhere": (
                "def fill(row):\n    row['amuont'] = 1\n\nROW = {'amount': 1}\nprint(ROW['amuont'])\n",
                {},
            ),
            "key_of_the_environment": ("import os\nos.environ['DATABASE_URI_X'] = ''\nprint(os.environ['DATABASE_URL_X'])\n", {}),
            "key_singular_and_plural": ("ROW = {'orders': [1]}\nprint(ROW['order'])\n", {}),
            "key_near_only_in_a_comment": ("ROW = {'id_': 1}  # amount\nprint(ROW['amuont'])\n", {}),
            "key_deleted": ("ROW = {'amount': 1}\ndel ROW['amuont']\n", {}),
        }.items()
    ],
)
def test_where_more_than_one_thing_can_be_meant_nothing_is_changed(tmp_path: Path, dag: str, files: dict[str, str]) -> None:
    write(tmp_path, **{"dags__dag_py": dag, "dags__helper_py": HELPER, **files})
    story = converse(tmp_path, fail(tmp_path))
    assert (story.outcome, story.changed) == ("reported", {})
    assert "change_files" not in story.tools


def test_a_near_module_that_the_file_could_not_import_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, dags__dag_py="from helpr import clean_orders\n", lib__deep__helper_py=HELPER)
    assert converse(tmp_path, fail(tmp_path)).outcome == "reported"
