"""Ports for instances."""

import socket

import pytest

from engine.compute.process.port import PortPool, is_free
from engine.model.errors import DeployError, FailureKind


def test_ports_differ_and_rest_before_they_come_again():
    pool = PortPool()
    ports = [pool.take() for _ in range(100)]

    assert len(set(ports)) == 100
    assert all(20000 <= port < 32000 for port in ports)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_somebody_listens_on_is_not_free(host):
    with socket.create_server((host, 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_a_taken_port_is_passed_over():
    pool = PortPool()
    pool._next = 25000
    with socket.create_server(("127.0.0.1", 25000)):
        assert pool.take() != 25000


def test_ports_of_known_instances_are_passed_over():
    pool = PortPool()
    pool._next = 25000

    assert pool.take({25000, 25001}) not in {25000, 25001}


def test_no_port_at_all_is_a_failure_that_says_so():
    with pytest.raises(DeployError, match="No free port") as caught:
        PortPool().take(range(65536))

    assert caught.value.failure.kind is FailureKind.PORT
