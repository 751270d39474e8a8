"""What commands print is readable at 80 columns, bounded, and steers nobody's terminal."""

from __future__ import annotations

import psycopg

from tests.cli.conftest import CommandLine

ADD_PRODUCTS = """
INSERT INTO products (id, name, created_at, updated_at)
SELECT 'product-' || lpad(number::text, 3, '0'), 'Product', now(), now() FROM generate_series(1, 250) AS number
"""
ADD_ORGANIZATION = """
INSERT INTO organizations (id, name, domain, email, created_at, updated_at)
VALUES ('019a0000-0000-7000-8000-0000000000aa', %s, 'acme.example', 'it@acme.example', now(), now())
"""


def test_a_list_of_more_than_200_tells_the_next_cursor_in_both_forms(cli: CommandLine) -> None:
    with psycopg.connect(cli.server.environment["DATABASE_URL"]) as connection:
        connection.execute(ADD_PRODUCTS)

    first = cli.json("products", "list")
    second = cli.json("products", "list", "--cursor", first["nextCursor"])
    text = cli.text("products", "list")

    assert (len(first["items"]), len(second["items"]), second["nextCursor"]) == (200, 50, None)
    assert second["items"][0]["id"] == "product-201"
    assert text.splitlines()[-1] == f"There are more: add --cursor {first['nextCursor']}"
    assert len(text.splitlines()) == 202


def test_a_name_is_shown_as_it_is_and_never_as_markup_or_control_codes(cli: CommandLine) -> None:
    with psycopg.connect(cli.server.environment["DATABASE_URL"]) as connection:
        connection.execute(ADD_ORGANIZATION, ["[/bold] \x1b[31mred\u202e"])

    text = cli.text("organizations", "list")

    assert "[/bold]" in text
    assert "\\x1b[31mred\\u202e" in "".join(text.split())
    assert "\x1b" not in text


def test_lists_fit_80_columns_and_keep_ids_in_one_piece(cli: CommandLine) -> None:
    with psycopg.connect(cli.server.environment["DATABASE_URL"]) as connection:
        connection.execute(ADD_ORGANIZATION, ["A name that is rather long " * 7])
    organization_id = "019a0000-0000-7000-8000-0000000000aa"
    license = cli.json("licenses", "issue", "--organization-id", organization_id, "--tier", "PROFESSIONAL")
    run = cli.json("maintenance", "analyze")

    pages = [cli.text(noun, "list") for noun in ("organizations", "plans", "licenses", "runs")]

    assert max(len(line) for page in pages for line in page.splitlines()) <= 80
    assert organization_id in pages[0]
    assert "019a0000-0000-7000-8000-000000000003" in pages[1]
    assert f"{license['id']}  PROFESSIONAL  ACTIVE  -" in pages[2]
    assert pages[1].splitlines()[0].split() == ["id", "name", "tier", "maxUsers", "trialDays"]
    assert pages[3].splitlines()[0].split() == ["id", "kind", "status", "started", "took"]
    assert pages[3].splitlines()[1].startswith(f"{run['id']}  analyze  succeeded  20")
