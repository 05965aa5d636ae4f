from __future__ import annotations

import pytest

from agents.enrichments.exceptions import add_exception, exception_in
from tests.unit.samples import event

JAVA = """2026-11-24 ERROR [main] c.e.Shop - order failed
java.lang.IllegalStateException: no stock
for item 7
\tat com.example.shop.Cart.check(Cart.java:42)
\tat com.example.shop.Main.main(Main.java:7)
Caused by: java.io.IOException: disk
\tat com.example.Disk.read(Disk.java:1)
\t... 2 more"""
PYTHON = """job 7 failed
Traceback (most recent call last):
  File "/app/main.py", line 3, in <module>
    run()
  File "/app/main.py", line 2, in run
    raise shop.errors.NoStock("item 7")
shop.errors.NoStock: item 7"""
CHAINED = """Traceback (most recent call last):
  File "a.py", line 1, in <module>
KeyError: 'a'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 3, in <module>
ValueError: bad
second line"""
GO = """panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.main()
\t/app/main.go:8 +0x1d"""
NODE = """TypeError: Cannot read properties of undefined (reading 'id')
    at Object.<anonymous> (/app/index.js:3:9)
    at Module._compile (node:internal/modules/cjs/loader:1105:14)"""
NODE_CODE = """Uncaught Error [ERR_X]: gone
    at f (/app/a.js:1:1)"""
DOTNET = """Unhandled exception. System.InvalidOperationException: Sequence contains no elements
   at System.Linq.Enumerable.First[T](IEnumerable`1 source)
   at Shop.Cart.Pay() in /src/Cart.cs:line 12"""
DOTNET_LOGGED = """fail: Shop[0] Request failed System.ArgumentNullException: Value cannot be null. (Parameter 'x')
   at Shop.Cart.Pay() in /src/Cart.cs:line 12"""


@pytest.mark.parametrize(
    ("message", "kind", "text", "begins"),
    [
        (JAVA, "java.lang.IllegalStateException", "no stock\nfor item 7", "java.lang.Ill"),
        ('Exception in thread "main" java.lang.Error\n\tat A.b(A.java)', "java.lang.Error", "", "Exception in thread"),
        (PYTHON, "shop.errors.NoStock", "item 7", "Traceback"),
        (CHAINED, "ValueError", "bad\nsecond line", "Traceback"),
        (GO, "panic", "runtime error: index out of range [5] with length 3", "panic: "),
        (NODE, "TypeError", "Cannot read properties of undefined (reading 'id')", "TypeError: "),
        (NODE_CODE, "Error", "gone", "Uncaught Error"),
        (DOTNET, "System.InvalidOperationException", "Sequence contains no elements", "Unhandled"),
        (DOTNET_LOGGED, "System.ArgumentNullException", "Value cannot be null. (Parameter 'x')", "System.Arg"),
    ],
)
def test_a_stack_trace_is_taken_apart(message, kind, text, begins):
    found = exception_in(message)

    assert found is not None
    assert (kind, text) == found[:2]
    assert found[2].startswith(begins)
    assert message.endswith(found[2])


@pytest.mark.parametrize(
    "message",
    ["two\nlines", "look\n\tat this", "Traceback (most recent call last):\n  File x", "a: b\n at c", "\n    at x.y(z)"],
)
def test_lines_that_only_look_alike_are_no_stack_trace(message):
    assert exception_in(message) is None


def test_the_senders_own_error_wins_and_a_message_of_one_line_is_not_looked_at():
    own = event(message=NODE, error={"type": "Mine"})
    add_exception(own)
    traced = event(message=NODE, error={"stack_trace": "mine"})
    add_exception(traced)
    single = event(message="TypeError: x    at y")
    add_exception(single)

    assert ("Mine", NODE) == (own.fields["error"]["type"], own.fields["error"]["stack_trace"])
    assert {"stack_trace": "mine"} == traced.fields["error"]
    assert "error" not in single.fields


@pytest.mark.parametrize("line", ["a." * 60_000, "a" * 120_000, ": " * 60_000, "aException" * 12_000, "[" * 120_000])
@pytest.mark.timeout(60)  # linear takes milliseconds, quadratic minutes
def test_no_message_needs_more_than_linear_time(line):
    found = exception_in(f"{line}\n\tat x")

    assert found is None or found[2].endswith("at x")
