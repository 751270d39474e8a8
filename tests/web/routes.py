"""Every route, and what it takes to be let in."""

from __future__ import annotations

PUBLIC = "public"
"""Anybody, without a credential."""
SIGNED_IN = "signed in"
"""Any caller that is known."""
FOR_OPERATORS = "/admin/"
"""What begins like this is for callers who belong to no organization, and have the permission."""

ACCESS = {
    "POST /api/licenses/validate": PUBLIC,
    "GET /health": PUBLIC,
    "HEAD /health": PUBLIC,
    "GET /livez": PUBLIC,
    "HEAD /livez": PUBLIC,
    "GET /readyz": PUBLIC,
    "HEAD /readyz": PUBLIC,
    "GET /metrics": PUBLIC,
    "GET /openapi.json": PUBLIC,
    "HEAD /openapi.json": PUBLIC,
    "POST /api/auth/login": PUBLIC,
    "POST /api/auth/logout": SIGNED_IN,
    "POST /api/organizations": "organizations:write",
    "GET /api/organizations": "organizations:read",
    "GET /api/organizations/{organization_id}": "organizations:read",
    "PATCH /api/organizations/{organization_id}": "organizations:write",
    "POST /api/products": "products:write",
    "GET /api/products": "products:read",
    "GET /api/products/{product_id}": "products:read",
    "PATCH /api/products/{product_id}": "products:write",
    "POST /api/plans": "plans:write",
    "GET /api/plans": "plans:read",
    "GET /api/plans/{plan_id}": "plans:read",
    "PATCH /api/plans/{plan_id}": "plans:write",
    "POST /api/licenses": "licenses:write",
    "GET /api/licenses": "licenses:read",
    "GET /api/licenses/{license_id}": "licenses:read",
    "PATCH /api/licenses/{license_id}": "licenses:write",
    "POST /api/licenses/{license_id}/suspend": "licenses:write",
    "POST /api/licenses/{license_id}/reinstate": "licenses:write",
    "POST /api/licenses/{license_id}/revoke": "licenses:write",
    "POST /api/licenses/{license_id}/renew": "licenses:write",
    "POST /api/licenses/{license_id}/show-key": "licenses:write",
    "GET /api/licenses/{license_id}/validations": "licenses:read",
    "GET /api/licenses/{license_id}/machines": "licenses:read",
    "GET /api/licenses/{license_id}/machines/{machine_id}": "licenses:read",
    "POST /api/licenses/{license_id}/machines": "machines:write",
    "DELETE /api/licenses/{license_id}/machines/{machine_id}": "machines:write",
    "POST /api/api-keys": "api-keys:write",
    "GET /api/api-keys": "api-keys:read",
    "GET /api/api-keys/{api_key_id}": "api-keys:read",
    "POST /api/api-keys/{api_key_id}/rotate": "api-keys:write",
    "DELETE /api/api-keys/{api_key_id}": "api-keys:write",
    "GET /admin/security/summary": "ops:read",
    "GET /api/audit-events": "audit:read",
    "GET /admin/audit-events": "audit:read",
    "GET /admin/audit-events/export": "audit:read",
    "GET /admin/audit-events/{event_id}": "audit:read",
}
