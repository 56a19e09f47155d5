"""Where processes in a container listen, from the kernel's tables."""

import os
import socket
from pathlib import Path

import pytest

from engine.compute.docker.sockets import listening, tables
from engine.model.instance import Address

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0B00007F:A3C1 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0000000000000000
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0000000000000000
   2: 020011AC:1F90 010011AC:D431 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0000000000000000
   3: 0100007F:0050 00000000:0000 0A
"""
TABLE_6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000
   1: 00000000000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000
   2: 0000000000000000FFFF00000100007F:1F92 00000000000000000000000000000000:0000 0A 00000000:00000000
   3: B80D01200000000000000000010000FE:1F93 00000000000000000000000000000000:0000 0A 00000000:00000000
"""


def test_listening_sockets_are_read_from_a_table():
    assert listening(TABLE) == [
        Address(host="127.0.0.11", port=0xA3C1),
        Address(host="0.0.0.0", port=8080),
        Address(host="127.0.0.1", port=80),
    ]


def test_addresses_of_ipv6_are_spelled_as_people_do():
    hosts = [address.host for address in listening(TABLE_6)]

    assert hosts == ["::", "::1", "127.0.0.1", "2001:0db8:0000:0000:0000:0000:fe00:0001"]


@pytest.mark.parametrize("text", ["", "\n", "  sl  local_address\n", "  sl\n  0:\n  garbage\n"])
def test_a_table_without_anything_has_nothing(text):
    assert listening(text) == []


def test_the_tables_are_those_of_the_process():
    assert tables(7, Path("/p")) == (Path("/p/7/net/tcp"), Path("/p/7/net/tcp6"))


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux has them")
def test_this_very_process_is_found_by_its_tables():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = [address for table in tables(os.getpid()) if table.exists() for address in listening(table.read_text())]

    assert Address(host="127.0.0.1", port=port) in found
