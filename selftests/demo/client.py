#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The demo's web client: client.py ADDRESS PORT REQUESTS [keep-alive]

Without keep-alive it opens a connection for every request, and closes it when it
has the answer, as programs do that take a new HTTP client each time. Prints how
many requests it made, and what the kernel said when it no longer could.
"""
import errno
import socket
import struct
import sys
import time

BATCH = 16  # requests at a time
REFUSALS = 20  # then it gives up

# With half of its range taken, connect() may look through all of that for each
# port: too slow for this machine, where a range of its own (IP_LOCAL_PORT_RANGE)
# tells each socket where to look. The last ports are left to connect().
LOCAL_PORT_RANGE = 51
WINDOW = 256
LAST = 200

address, port, requests = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
keep_alive = sys.argv[4:] == ["keep-alive"]
request = f"GET / HTTP/1.1\r\nHost: {address}\r\n\r\n".encode()

with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
    low, high = map(int, file.read().split())
opened = answered = refused = 0
connections = []


def choose_range(connection):
    """Where connect() is to look for a port."""
    first = low + opened // WINDOW * WINDOW
    if first + WINDOW + LAST > high:
        return
    try:
        connection.setsockopt(socket.IPPROTO_IP, LOCAL_PORT_RANGE,
                              struct.pack("HH", first, first + WINDOW - 1))
    except OSError as error:
        if error.errno != errno.ENOPROTOOPT:
            raise


def connect():
    """A new connection, or None when the kernel has no port for it."""
    global opened, refused
    connection = socket.socket()
    if not keep_alive:
        choose_range(connection)
    try:
        connection.connect((address, port))
    except OSError as error:
        connection.close()
        refused += 1
        if refused == 1:
            print(f"client.py: connection {opened + 1}: {error}", flush=True)
        time.sleep(0.1)
        return None
    opened += 1
    return connection


def answer(connection):
    """Read one answer; None when the server has closed."""
    global answered
    text = connection.recv(4096)
    if not text:
        return None
    if b"200 OK" not in text:
        sys.exit(f"client.py: {text.decode()}")
    answered += 1
    # nginx closes after so many requests, and says so
    return None if b"Connection: close" in text else connection


while answered < requests and refused < REFUSALS:
    while len(connections) < BATCH and refused < REFUSALS:
        connection = connect()
        if connection is None:
            break
        connections.append(connection)
    for connection in connections:
        connection.sendall(request)
    kept = []
    for connection in connections:
        if answer(connection) and keep_alive:
            kept.append(connection)
        else:
            connection.close()
    connections = kept
for connection in connections:
    connection.close()
print(f"client.py: {answered} requests answered, {opened} connections opened,"
      f" {refused} refused")
sys.exit(1 if refused else 0)
