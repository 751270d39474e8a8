"""The OpenAPI document tells the truth about every route."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.openapi.models import OpenAPI
from fastapi.routing import iter_route_contexts
from jsonschema import Draft202012Validator

PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


@pytest.fixture
async def document(refused_client: httpx.AsyncClient) -> dict[str, Any]:
    """The document as it is served."""
    response = await refused_client.get("/openapi.json")
    assert response.status_code == 200
    served: dict[str, Any] = response.json()
    return served


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


async def test_the_document_is_valid(document: dict[str, Any]) -> None:
    OpenAPI.model_validate(document)
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    names = {reference.removeprefix("#/components/schemas/") for reference in _references(document)}
    assert names <= set(document["components"]["schemas"])
    assert (document["openapi"][:3], document["info"]["version"]) == ("3.1", "1.0.0")


async def test_every_route_is_in_the_document_with_a_summary(document: dict[str, Any], refusing_app: FastAPI) -> None:
    contexts = [route for route in iter_route_contexts(refusing_app.routes) if route.path != "/openapi.json"]
    routes = {(method, route.path) for route in contexts for method in route.methods or set()}

    described = {(method, path): operation for method, path, operation in _operations(document)}

    assert set(described) == routes
    assert all(operation["summary"] and operation["description"] for operation in described.values())


async def test_every_operation_has_an_id_of_its_own(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in _operations(document)]

    assert len(ids) == len(set(ids))


async def test_no_schema_is_named_after_our_modules(document: dict[str, Any]) -> None:
    assert [name for name in document["components"]["schemas"] if "__" in name] == []


async def test_every_route_declares_its_failures_as_problems(document: dict[str, Any]) -> None:
    for method, path, operation in _operations(document):
        responses = operation["responses"]
        assert responses["4XX"]["content"] == PROBLEM, (method, path)
        assert responses["5XX"]["content"] == PROBLEM, (method, path)
        assert "422" not in responses


async def test_a_real_problem_is_what_the_schema_says(
    document: dict[str, Any], refused_client: httpx.AsyncClient
) -> None:
    schema = document["components"]["schemas"]["Problem"]
    answers = [await refused_client.get("/nowhere"), await refused_client.post("/api/licenses/validate", json={})]

    for answer in answers:
        Draft202012Validator(schema).validate(answer.json())
