"""What people see in Airflow's UI: pages and fragments of pages, rendered here, kept alive by htmx.

A route parses, asks one use case and renders; what a template shows is made by a pure function beside the route.
"""
