"""Tenants stay apart: a query over their tables is told whose rows are meant, or who looked before."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from app.db.models import Model

QUERIES = Path(__file__).resolve().parents[2] / "app" / "db" / "queries"

PROMISE = "the license was looked up for the caller before"
"""What the first sentence of a file of queries says when its `license_id` proves the tenant."""

IS_THE_TENANT = {"organizations.py": "the organization is the tenant itself"}
NO_TENANT_YET = {
    "find_usable_api_key": "a credential tells who is calling",
    "find_session": "a credential tells who is calling",
    "find_ended_api_key": "a credential tells who was calling",
    "find_ended_session": "a credential tells who was calling",
    "remember_use": "a credential tells who is calling",
    "find_user_by_email": "somebody wants to sign in",
    "is_known_address": "somebody wants to sign in",
    "lock_user": "the user was looked up before",
    "find_user_by_identity": "somebody wants to sign in",
    "add_identity": "the user was looked up before",
    "has_identity_at": "the user was looked up before",
    "has_known_addresses": "the user was looked up before",
    "remember_address": "the user was looked up before",
    "lock_session_of": "the user was looked up before",
    "list_sessions": "the user was looked up before",
    "revoke_session": "the id comes from the caller's own credential",
    "revoke_sessions_of": "the user was looked up before",
    "take_recovery_code": "the user was looked up before",
    "count_recovery_codes": "the user was looked up before",
    "replace_recovery_codes": "the user was looked up before",
    "prove_session": "the id comes from the caller's own credential",
    "delete_user": "the user was looked up before",
    "has_identity": "the user was looked up before",
    "has_other_operator": "operators belong to no organization",
    "find_reset": "a token tells whose it is",
    "count_living_resets": "the user was looked up before",
    "delete_dead_resets": "the user was looked up before",
    "use_resets_of": "the user was looked up before",
    "find_living_invitation": "a token tells whose it is",
    "has_operator": "operators belong to no organization",
    "find_newest_license": "the start of the server looks whether the encryption key fits",
    "lock_license_key": "whoever knows a license key may ask about it",
    "find_facts": "whoever knows a license key may ask about it",
    "append_events": "the answer belongs to whoever asked",
    "append_event_counts": "security events are the installation's",
    "delete_event_counts": "security events are the installation's",
    "list_known": "errors are the installation's",
    "add_counts": "errors are the installation's",
    "sum_groups": "errors are the installation's",
    "delete_groups": "errors are the installation's",
    "limit_statements": "only callers of the installation ask for the security summary",
    "sum_events": "only callers of the installation ask for the security summary",
    "find_odd_licenses": "only callers of the installation ask for the security summary",
    "find_key_guessers": "only callers of the installation ask for the security summary",
    "find_titles": "only callers of the installation ask for the security summary",
    "find_secret": "secrets are the installation's",
    "put_secret": "secrets are the installation's",
    "find_run_evidence": "only callers of the installation ask for reports",
    "is_backed_up_elsewhere": "only the doctor asks, for the installation",
    "find_backup_evidence": "only callers of the installation ask for reports",
    "find_unused_accounts": "only callers of the installation ask for reports",
    "list_living_api_keys": "only callers of the installation ask for reports",
    "list_password_operators": "only callers of the installation ask for reports",
    "count_installation": "only callers of the installation ask for reports",
    "sum_validations": "only callers of the installation ask for reports",
    "list_sizes": "samples are the installation's",
    "has_sizes": "samples are the installation's",
    "measure_sizes": "samples are the installation's",
    "read_statements": "samples are the installation's",
    "put_statements": "samples are the installation's",
    "find_statement_day": "samples are the installation's",
    "find_first_statement_day": "samples are the installation's",
    "list_statements": "samples are the installation's",
    "read_server_facts": "only the doctor asks, for the installation",
    "list_unfit_grants": "only the doctor asks, for the installation",
    "list_foreign_tables": "only the doctor asks, for the installation",
    "read_restore_rights": "only the doctor asks, for the installation",
    "read_identity": "only the doctor asks, for the installation",
    "read_operators": "only the doctor asks, for the installation",
    "has_enabled_operator": "only the doctor asks, for the installation",
    "list_schedules": "schedules are the installation's",
    "lock_idempotency_key": "`caller` is part of the key",
    "has_unsealed": "one chain seals the trail of all",
    "try_lock_chain": "one chain seals the trail of all",
    "find_chain_key": "one chain seals the trail of all",
    "find_head": "one chain seals the trail of all",
    "list_unsealed": "one chain seals the trail of all",
    "append_links": "one chain seals the trail of all",
    "list_links": "one chain seals the trail of all",
    "list_event_states": "one chain seals the trail of all",
    "find_base": "one chain seals the trail of all",
    "list_archivable": "one chain seals the trail of all",
    "remove_prefix": "one chain seals the trail of all",
    "list_partitions": "a day has the validations of all",
    "default_bytes": "a day has the validations of all",
    "list_days_in_default": "a day has the validations of all",
    "count_in_default": "a day has the validations of all",
    "make_partition": "a day has the validations of all",
    "remove_guards": "a day has the validations of all",
    "lock_and_count": "a day has the validations of all",
    "count_rows": "a day has the validations of all",
    "copy_rows": "a day has the validations of all",
    "drop_partition": "a day has the validations of all",
    "find_held_organization": "what is held was looked up for the whole installation",
    "read_stock": "retention is the installation's",
    "count_old": "retention is the installation's",
    "count_held": "retention is the installation's",
    "delete_old": "retention is the installation's",
    "read_rights": "a restore moves the whole installation",
    "has_database": "a restore moves the whole installation",
    "read_comment": "a restore moves the whole installation",
    "look_into": "a restore moves the whole installation",
    "create_extension": "a restore moves the whole installation",
    "copy_terms": "a restore moves the whole installation",
    "terminate_sessions": "a restore moves the whole installation",
    "swap": "a restore moves the whole installation",
    "drop": "a restore moves the whole installation",
    "list_put_away": "a restore moves the whole installation",
    "read_put_away": "a restore moves the whole installation",
    "list_under_way": "a restore moves the whole installation",
    "read_legacy": "a restore moves the whole installation",
    "settle_runs": "a restore moves the whole installation",
    "end_well": "a restore moves the whole installation",
    "settle_backups": "a restore moves the whole installation",
    "put_runs": "a restore moves the whole installation",
    "put_backups": "a restore moves the whole installation",
    "keep_revoked": "a restore moves the whole installation",
    "keep_disabled": "a restore moves the whole installation",
    "keep_ending": "a restore moves the whole installation",
    "keep_withdrawn": "a restore moves the whole installation",
    "list_reopened_licenses": "a restore moves the whole installation",
    "list_reopened_organizations": "a restore moves the whole installation",
    "list_earlier_access": "a restore moves the whole installation",
    "count_returned": "a restore moves the whole installation",
    "end_promises": "a restore moves the whole installation",
    "plan_schedules_anew": "a restore moves the whole installation",
    "describe_server": "maintenance looks at catalogs, never at rows",
    "find_closed_schema": "maintenance looks at catalogs, never at rows",
    "find_relations": "maintenance looks at catalogs, never at rows",
    "find_relations_directly": "maintenance looks at catalogs, never at rows",
    "list_tables": "maintenance looks at catalogs, never at rows",
    "find_table": "maintenance looks at catalogs, never at rows",
    "list_indexes": "maintenance looks at catalogs, never at rows",
    "find_activity": "maintenance looks at catalogs, never at rows",
    "tend_table": "maintenance looks at catalogs, never at rows",
    "update_database_stats": "maintenance looks at catalogs, never at rows",
    "rebuild_index": "maintenance looks at catalogs, never at rows",
    "drop_index": "maintenance looks at catalogs, never at rows",
    "find_pgstattuple": "maintenance looks at catalogs, never at rows",
    "measure_index": "maintenance looks at catalogs, never at rows",
}
INSTALLATION_TABLES = {
    *("Archive", "Backup", "ErrorGroupCount", "LegalHold", "OutgoingMail", "Plan", "Product", "Registration", "Run"),
    *("Schedule", "SizeSample", "StatementSample"),
}


def tenant_models() -> set[str]:
    """The models whose rows belong to an organization, themselves or through what they refer to."""
    return {mapper.class_.__name__ for mapper in Model.registry.mappers} - INSTALLATION_TABLES


def queries(source: str) -> Iterator[ast.AsyncFunctionDef]:
    for node in ast.parse(source).body:
        if isinstance(node, ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield node


def uses_tenant_tables(source: str) -> bool:
    names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    return bool(names & tenant_models()) or "read_sql" in source


def careless_queries(file: str, source: str) -> list[str]:
    """Queries over tenants' tables that neither take the organization nor say why they need not."""
    if not uses_tenant_tables(source) or file in IS_THE_TENANT:
        return []
    has_promise = PROMISE in (ast.get_docstring(ast.parse(source)) or "")
    careless = []
    for query in queries(source):
        arguments = [argument.arg for argument in query.args.args]
        is_scoped = arguments[:2] == ["tx", "organization_id"] or (
            has_promise and arguments[:2] == ["tx", "license_id"]
        )
        if not is_scoped and query.name not in NO_TENANT_YET:
            careless.append(f"{file}: {query.name}")
    return careless


def test_every_query_over_tenants_tables_takes_the_organization_or_says_who_looked_before() -> None:
    assert [one for path in sorted(QUERIES.glob("*.py")) for one in careless_queries(path.name, path.read_text())] == []


def test_every_exception_is_still_a_query() -> None:
    names = {query.name for path in QUERIES.glob("*.py") for query in queries(path.read_text())}

    assert set(NO_TENANT_YET) - names == set()
    assert {name for name in IS_THE_TENANT if not (QUERIES / name).exists()} == set()


def test_the_organization_that_is_taken_is_also_used() -> None:
    unused = [
        f"{path.name}: {query.name}"
        for path in sorted(QUERIES.glob("*.py"))
        for query in queries(path.read_text())
        if "organization_id" in [argument.arg for argument in query.args.args]
        and not any(isinstance(node, ast.Name) and node.id == "organization_id" for node in ast.walk(query))
    ]

    assert unused == []


def test_an_omission_is_found() -> None:
    careless = "async def get_license(tx, license_id):\n    return await tx.get(License, license_id)\n"
    careful = "async def get_license(tx, organization_id, license_id):\n    return License, organization_id\n"
    promised = f'"""Queries; {PROMISE}."""\nasync def list_machines(tx, license_id): Machine\n'

    assert careless_queries("licenses.py", careless) == ["licenses.py: get_license"]
    assert careless_queries("licenses.py", careful) == []
    assert careless_queries("machines.py", promised) == []
    assert careless_queries("machines.py", promised.replace(PROMISE, "trust me")) == ["machines.py: list_machines"]
