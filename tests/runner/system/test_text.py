"""Text that is shown holds no password of an address, whatever form the address has."""

import pytest

from runner.system.text import without_passwords, without_passwords_of

SHOWN = {
    "http://ada:secret@host:5000/team": "http://ada@host:5000/team",
    "http://:secret@host": "http://@host",
    "http://ada:se@cret@host": "http://ada@host",
    "http://ada:se/cret@host": "http://ada@host",
    "http://ada@host": "http://ada@host",
    "http://host:5000/a@b": "http://host:5000/a@b",
    "postgresql+psycopg://ada:se/cr+et@host/runs": "postgresql+psycopg://ada@host/runs",
    "mysql://host/runs?user=ada&password=secret&ssl=1": (
        "mysql://host/runs?user=ada&password=&ssl=1"
    ),
    "mssql+pyodbc:///?odbc_connect=PWD%3Dsecret": "mssql+pyodbc:///?odbc_connect=",
    "sqlite:////data/a:b@c.db": "sqlite:////data/a:b@c.db",
    "databricks://profile:scope": "databricks://profile:scope",
    "got 'http://ada:secret@host', of b@c": "got 'http://ada@host', of b@c",
    "two: x://a:b@c and x://d:e@f": "two: x://a@c and x://d@f",
}


@pytest.mark.parametrize(("text", "shown"), SHOWN.items(), ids=SHOWN)
def test_the_password_of_an_address_is_left_out_and_nothing_else(text: str, shown: str) -> None:
    assert without_passwords(text) == shown
    assert without_passwords(shown) == shown


def test_a_password_by_itself_is_left_out_as_it_is_and_as_it_is_meant() -> None:
    said = without_passwords_of("mysql://ada:a%2Fb@host?token=xyz", "a/b, a%2Fb and xyz are wrong")
    assert said == "***, *** and *** are wrong"
