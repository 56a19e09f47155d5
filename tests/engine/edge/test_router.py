"""Which service a Host belongs to."""

import pytest

from engine.edge.counters import Counters
from engine.edge.problem import Problem, Refused
from engine.edge.router import Router
from engine.edge.table import Backend, Route, RoutingTable


def route(name: str, *hosts: str, backends: tuple[Backend, ...] = ()) -> Route:
    return Route(service_id=name, hosts=hosts, backends=backends)


def router_of(*routes: Route, known=None) -> Router:
    return Router(RoutingTable(version=1, routes=routes), 8800, Counters(), known or {})


ROUTES = (
    route("a", "a.us-east-1.homerun.localhost"),
    route("wild", "*.example.com", "example.com"),
    route("exact", "www.example.com"),
)


@pytest.mark.parametrize(
    ("host", "service"),
    [
        (b"a.us-east-1.homerun.localhost", "a"),
        (b"a.us-east-1.homerun.localhost:8800", "a"),
        (b"A.US-East-1.Homerun.Localhost.", "a"),
        (b"www.example.com", "exact"),
        (b"shop.example.com:1", "wild"),
        (b"example.com", "wild"),
    ],
)
def test_exact_then_wildcard(host, service):
    router = router_of(*ROUTES)
    for _ in range(2):  # the second time from the cache
        assert router.find(host).service.route.service_id == service


@pytest.mark.parametrize(
    "host", [b"b.localhost", b"a.b.example.com", b".example.com", b"com", b"127.0.0.1:8800", b"[::1]", b""]
)
def test_anything_else_is_unknown(host):
    with pytest.raises(Refused) as refused:
        router_of(*ROUTES).find(host)
    assert refused.value.problem is Problem.UNKNOWN_HOST


@pytest.mark.parametrize(
    "host", [b"a b", b"a,b", b"a/b", b"a@b", b"a:b", b"a:123456", b"[a", b"\xc3\xa9", b"a\tb", b"a\n"]
)
def test_what_is_no_host_name_is_a_bad_request(host):
    with pytest.raises(Refused) as refused:
        router_of(*ROUTES).find(host)
    assert refused.value.problem is Problem.BAD_REQUEST


def test_the_cache_of_spellings_is_bounded():
    router = router_of(route("wild", "*.example.com"))
    for number in range(10_000):
        router.find(b"x%d.example.com" % number)
    assert len(router._cache) <= 4096


def test_targets_are_carried_over_by_instance_and_address():
    one, two = (Backend(instance_id=name, host="127.0.0.1", port=1) for name in ("one", "two"))
    old = router_of(route("a", "a", backends=(one, two)))
    moved = Backend(instance_id="two", host="127.0.0.1", port=2)
    new = router_of(route("a", "a", backends=(one, moved)), known=old.targets)
    assert new.services[0].targets[0] is old.services[0].targets[0]
    assert new.services[0].targets[1] is not old.services[0].targets[1]
