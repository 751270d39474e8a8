"""Every failure is a problem document, whatever a client sends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.factories.http import create_organization
from tests.web.problem import read_problem

VALIDATE = "/api/licenses/validate"
JSON = {"Content-Type": "application/json"}
ORGANIZATION = {"name": "Acme", "domain": "acme.example", "email": "it@acme.example"}


async def test_an_unknown_route_is_404(refused_client: httpx.AsyncClient) -> None:
    document = read_problem(await refused_client.get("/nowhere"), 404, "ROUTE_NOT_FOUND")

    assert document == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is nothing at this address; see /openapi.json.",
        "code": "ROUTE_NOT_FOUND",
        "requestId": document["requestId"],
    }


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/products", {"GET", "POST"}),
        ("PUT", "/api/organizations/00000000-0000-0000-0000-000000000000", {"GET", "PATCH"}),
        ("PUT", "/api/licenses/00000000-0000-0000-0000-000000000000/machines", {"GET", "POST"}),
        ("GET", "/api/auth/login", {"POST"}),
        ("POST", "/health", {"GET", "HEAD"}),
        ("BREW", "/api/licenses", {"GET", "POST"}),
    ],
)
async def test_a_wrong_method_is_405_and_told_all_that_are_allowed(
    refused_client: httpx.AsyncClient, method: str, path: str, allowed: set[str]
) -> None:
    response = await refused_client.request(method, path)

    read_problem(response, 405, "METHOD_NOT_ALLOWED")
    assert set(response.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'licenseKey': 'x'}",
        b'{"licenseKey": "x"} trailing',
        b'{"licenseKey": NaN}',
        b'{"licenseKey": "x", "more": Infinity}',
        b'{"licenseKey": "x", "more": -Infinity}',
        b'{"licenseKey": "\xff\xfe"}',
        b"\xef\xbb\xbf{",
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"licenseKey": ' + b"9" * 5_000 + b"}",
        b'{"licenseKey": "x", "licenseKey": "y"}',
        b'{"licenseKey": "x", "more": {"a": 1, "a": 2}}',
        b'{"licenseKey": "a\x00b"}',
        b'{"licenseKey": "line\nbreak"}',
    ],
    ids=lambda body: repr(body[:25]),
)
async def test_a_body_that_is_not_json_is_400(refused_client: httpx.AsyncClient, body: bytes) -> None:
    response = await refused_client.post(VALIDATE, content=body, headers=JSON)

    read_problem(response, 400, "MALFORMED_JSON")


async def test_an_empty_body_is_422_and_says_what_is_needed(refused_client: httpx.AsyncClient) -> None:
    document = read_problem(await refused_client.post(VALIDATE, headers=JSON), 422, "VALIDATION_FAILED")

    assert document["errors"] == [
        {"field": "body", "message": "A JSON body is required, with Content-Type: application/json."}
    ]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_a_body_of_another_type_is_415(refused_client: httpx.AsyncClient, content_type: str) -> None:
    response = await refused_client.post(
        VALIDATE, content=b'{"licenseKey": "x"}', headers={"Content-Type": content_type}
    )

    read_problem(response, 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_body_without_a_type_is_415(refused_client: httpx.AsyncClient) -> None:
    read_problem(await refused_client.post(VALIDATE, content=b'{"licenseKey": "x"}'), 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_json_with_a_charset_is_read(refused_client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}

    response = await refused_client.post(VALIDATE, content=b'{"licenseKey": "x"}', headers=headers)

    assert response.json()["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("[]", "body"),
        ('"text"', "body"),
        ("null", "body"),
        ("{}", "licenseKey"),
        ('{"licenseKey": null}', "licenseKey"),
        ('{"licenseKey": 7}', "licenseKey"),
        ('{"licenseKey": true}', "licenseKey"),
        ('{"licenseKey": ["x"]}', "licenseKey"),
        ('{"licenseKey": "a\\u0000b"}', "licenseKey"),
        ('{"licenseKey": "\\ud800"}', "licenseKey"),
        ('{"licenseKey": "\\udc00 x"}', "licenseKey"),
        ('{"licenseKey": "' + "x" * 201 + '"}', "licenseKey"),
        ('{"licenseKey": "x", "machineId": "' + "x" * 501 + '"}', "machineId"),
        ('{"licenseKey": "x", "machineId": "\\udfff"}', "machineId"),
        ('{"licenseKey": "x", "productId": "\\u0000"}', "productId"),
        ('{"licenseKey": "x", "productId": 1e400}', "productId"),
        ('{"licenseKey": "x", "entitlements": "sla"}', "entitlements"),
        ('{"licenseKey": "x", "entitlements": [{"a": 1}]}', "entitlements.0"),
        ('{"licenseKey": ' + "9" * 401 + "}", "licenseKey"),
    ],
    ids=lambda text: text[:40],
)
async def test_a_question_with_a_wrong_member_is_422_and_names_it(
    refused_client: httpx.AsyncClient, body: str, field: str
) -> None:
    document = read_problem(await refused_client.post(VALIDATE, content=body, headers=JSON), 422, "VALIDATION_FAILED")

    assert [error["field"] for error in document["errors"]] == [field]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ('"maxUsers": 10.5', "maxUsers"),
        ('"maxUsers": true', "maxUsers"),
        ('"maxUsers": -1', "maxUsers"),
        ('"maxUsers": 2147483648', "maxUsers"),
        ('"maxUsers": 1' + "0" * 400, "maxUsers"),
        ('"maxUsers": 1e400', "maxUsers"),
        ('"organizationId": "not-a-uuid"', "organizationId"),
        ('"organizationId": 7', "organizationId"),
        ('"planId": "\\ud800"', "planId"),
        ('"expiresAt": "2026-06-30T23:59:60Z"', "expiresAt"),
        ('"expiresAt": "9999-12-31T23:59:59Z"', "expiresAt"),
        ('"expiresAt": "9999-12-31T23:59:59-23:59"', "expiresAt"),
        ('"expiresAt": "0001-01-01T00:00:00+23:59"', "expiresAt"),
        ('"expiresAt": "1969-12-31T23:59:59Z"', "expiresAt"),
        ('"expiresAt": "+10000-01-01T00:00:00Z"', "expiresAt"),
        ('"expiresAt": "2026-13-01T00:00:00Z"', "expiresAt"),
        ('"expiresAt": "2027-01-01T00:00:00"', "expiresAt"),
        ('"expiresAt": 1e400', "expiresAt"),
        ('"expiresAt": 99999999999999999999', "expiresAt"),
        ('"features": {"a": "\\ud800"}', "features"),
        ('"features": {"a": "\\udc00"}', "features"),
        ('"features": {"a": {"\\udc00": 1}}', "features"),
        ('"features": {"a": ["\\u0000"]}', "features"),
        ('"features": {"a": 1e400}', "features"),
        ('"features": {"a": ' + "[" * 500 + "]" * 500 + "}", "features"),
        ('"features": {"a": "' + "x" * 17_000 + '"}', "features"),
        ('"allowedProducts": ["UPPER"]', "allowedProducts.0"),
        ('"allowedProducts": ["a\\n"]', "allowedProducts.0"),
        ('"licenseKey": "short"', "licenseKey"),
        ('"licenseKey": "with\\nline break"', "licenseKey"),
        ('"machineBinding": "SOMEHOW"', "machineBinding"),
        ('"unknown": 1', "unknown"),
        ('"\\ud800": 1', "body"),
        ('"max_users": 1', "max_users"),
    ],
    ids=lambda text: text[:40].encode("ascii", "backslashreplace").decode(),
)
async def test_a_wish_with_a_wrong_member_is_422_and_names_it(
    refused_api: httpx.AsyncClient, changes: str, field: str
) -> None:
    start = "" if "organizationId" in changes else '"organizationId": "00000000-0000-0000-0000-000000000000", '
    body = "{" + start + '"tier": "UNLIMITED", ' + changes + "}"

    document = read_problem(
        await refused_api.post("/api/licenses", content=body, headers=JSON), 422, "VALIDATION_FAILED"
    )

    assert {error["field"].partition(".a")[0] for error in document["errors"]} == {field}


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/licenses?limit=0", "limit"),
        ("/api/licenses?limit=201", "limit"),
        ("/api/licenses?limit=ten", "limit"),
        ("/api/licenses?limit=1&limit=x", "limit"),
        ("/api/licenses?limit=" + "9" * 5000, "limit"),
        ("/api/licenses?cursor=" + "x" * 301, "cursor"),
        ("/api/licenses?status=EXPIRED", "status"),
        ("/api/licenses?tier=%00", "tier"),
        ("/api/licenses?organizationId=x", "organizationId"),
        ("/api/organizations?domain=%00", "domain"),
        ("/api/organizations/not-a-uuid", "organization_id"),
        ("/api/licenses/%00", "license_id"),
        ("/api/licenses/%FF%FE", "license_id"),
        ("/api/products/%00", "product_id"),
        ("/api/products/UPPER", "product_id"),
    ],
)
async def test_a_wrong_parameter_is_422_and_named(refused_api: httpx.AsyncClient, path: str, field: str) -> None:
    document = read_problem(await refused_api.get(path), 422, "VALIDATION_FAILED")

    assert {error["field"] for error in document["errors"]} == {field}


@pytest.mark.parametrize(
    "header",
    [
        {"X-API-Key": "itsk_ключ"},
        {"X-API-Key": "itsk_" + "x" * 10_000},
        {"X-API-Key": "\x00"},
        {"X-API-Key": "   "},
        {"Authorization": "Bearer ключ"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": ""},
    ],
    ids=lambda header: repr(header)[:40].encode("ascii", "backslashreplace").decode(),
)
async def test_a_credential_that_cannot_be_one_is_401(
    refused_client: httpx.AsyncClient, header: dict[str, str]
) -> None:
    encoded = {name.encode(): value.encode() for name, value in header.items()}

    response = await refused_client.get("/api/products", headers=encoded)

    read_problem(response, 401, "UNAUTHENTICATED")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("key", ["", "with space", "ключ", "x" * 256])
async def test_a_bad_idempotency_key_is_422(refused_api: httpx.AsyncClient, key: str) -> None:
    response = await refused_api.post(
        "/api/products", json={"id": "a", "name": "A"}, headers={b"Idempotency-Key": key.encode()}
    )

    document = read_problem(response, 422, "VALIDATION_FAILED")
    assert [error["field"] for error in document["errors"]] == ["Idempotency-Key"]


async def test_a_body_over_the_limit_is_413(refused_client: httpx.AsyncClient) -> None:
    body = b'{"licenseKey": "' + b"x" * 1_048_576 + b'"}'

    read_problem(await refused_client.post(VALIDATE, content=body, headers=JSON), 413, "BODY_TOO_LARGE")


async def test_a_chunked_body_over_the_limit_is_413(refused_client: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"licenseKey": "'
        for _ in range(20):
            yield b"x" * 65_536

    response = await refused_client.post(VALIDATE, content=chunks(), headers=JSON)

    read_problem(response, 413, "BODY_TOO_LARGE")


@pytest.mark.parametrize("length", ["-1", "x", "99999999999999999999", "1" * 5000])
async def test_a_strange_content_length_is_no_defect(refused_client: httpx.AsyncClient, length: str) -> None:
    response = await refused_client.post(VALIDATE, content=b"{}", headers={**JSON, "Content-Length": length})

    assert response.status_code in (400, 413, 422)


async def test_errors_are_at_most_twenty(client: httpx.AsyncClient) -> None:
    body = {"licenseKey": "x", "entitlements": [1] * 100}

    document = read_problem(await client.post(VALIDATE, json=body), 422, "VALIDATION_FAILED")

    assert len(document["errors"]) == 20


async def test_what_was_sent_is_not_echoed(client: httpx.AsyncClient) -> None:
    body = {"email": "somebody@acme.example", "password": ["hunter2-secret"]}

    response = await client.post("/api/auth/login", json=body)

    read_problem(response, 422, "VALIDATION_FAILED")
    assert "hunter2-secret" not in response.text


@pytest.mark.parametrize(
    "features",
    [
        {"emoji": "\U0001f600"},
        {"path": "C:\\u0000"},
        {"nothing": None},
        {"huge": 10**300},
        {"nested": {"a": [1, {"b": "é"}]}},
    ],
    ids=repr,
)
async def test_features_are_kept_as_they_were_sent(api: httpx.AsyncClient, features: dict[str, object]) -> None:
    plan = {"name": "Own", "tier": "OWN", "features": features}

    response = await api.post("/api/plans", json=plan)

    assert response.status_code == 201, response.text
    assert (await api.get(response.headers["location"])).json()["features"] == features


TEXT = st.text(max_size=30) | st.text(st.characters(categories=["Cs", "Cc", "Cf", "Zl"]), max_size=5)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
MEMBERS = ["licenseKey", "productId", "machineId", "entitlements", "id", "name", "domain", "email", "password"]
MEMBERS += ["phone", "tier", "features", "maxUsers", "trialDays", "scopes", "expiresAt", "organizationId", "planId"]
PATHS = [VALIDATE, "/api/products", "/api/organizations", "/api/plans", "/api/licenses", "/api/api-keys"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), members=st.dictionaries(st.sampled_from(MEMBERS), VALUE, max_size=5))
async def test_no_json_is_a_defect(api: httpx.AsyncClient, path: str, members: dict[str, object]) -> None:
    response = await api.post(path, content=_dump(members), headers=JSON)

    assert response.status_code in (200, 201, 400, 404, 409, 422), response.text


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200), path=st.sampled_from(PATHS))
async def test_no_bytes_are_a_defect(api: httpx.AsyncClient, path: str, body: bytes) -> None:
    response = await api.post(path, content=body, headers=JSON)

    assert response.status_code in (400, 422), response.text


def _dump(members: dict[str, object]) -> bytes:
    return json.dumps(members).encode()


async def test_a_taken_domain_is_409(api: httpx.AsyncClient) -> None:
    await create_organization(api, domain="acme.example")

    document = read_problem(await api.post("/api/organizations", json=ORGANIZATION), 409, "ALREADY_EXISTS")

    assert document["detail"] == "There is one among the organizations with the same domain already."
