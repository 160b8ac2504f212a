#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A web server that forgets to close: the demo's bug, kept on purpose.

It answers each request and then keeps the connection in a list that nobody
reads. When the client closes, the connection stays in CLOSE_WAIT.
"""
import selectors
import socket
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi\n"

waiting = selectors.DefaultSelector()
forgotten = []


def accept(listener):
    connection, _ = listener.accept()
    waiting.register(connection, selectors.EVENT_READ, answer)


def answer(connection):
    waiting.unregister(connection)
    if connection.recv(4096):
        connection.sendall(ANSWER)
    forgotten.append(connection)


for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    listener = socket.create_server((address, int(sys.argv[1])), family=family)
    waiting.register(listener, selectors.EVENT_READ, accept)
while True:
    for key, _ in waiting.select():
        key.data(key.fileobj)
