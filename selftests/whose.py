#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""whose.py ROLE ARG...: the programs that whose.sh watches.

Each prints "ready" (or what else its test needs to know, as JSON) and then does
as it is told by lines on its standard input, until one says "quit".
"""
import array
import json
import os
import socket
import sys
import threading
import time


def say(what):
    print(what if isinstance(what, str) else json.dumps(what), flush=True)


def call_me(name):
    with open("/proc/self/comm", "w") as comm:
        comm.write(name)


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def listener(port, address="127.0.0.1", protocol=0):
    s = socket.socket(family_of(address), socket.SOCK_STREAM, protocol)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    s.listen(64)
    return s


def connected(port, address="127.0.0.1", source=None, protocol=0):
    s = socket.socket(family_of(address), socket.SOCK_STREAM, protocol)
    if source:
        s.bind((source, 0))
    s.connect((address, port))
    return s


def until_told():
    for line in sys.stdin:
        if line.strip() == "quit":
            return
        yield line.strip()


def leaky(port, ipv6=0):
    """A small threaded server. Its threads read all, and never close."""
    call_me("leaky6" if ipv6 else "leaky")
    forgotten = []
    s = listener(port, "::" if ipv6 else "127.0.0.1")

    def handle(conn):
        while conn.recv(4096):
            pass
        forgotten.append(conn)

    def serve():
        while True:
            conn = s.accept()[0]
            threading.Thread(target=handle, args=(conn,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    say("ready")
    for _ in until_told():
        pass


def poke(port, count, ipv6=0):
    """Connect and close; tell when, and who. By IPv6 every other one to a mapped
    address."""
    call_me("poke6" if ipv6 else "poke")
    addresses = ["::1", "::ffff:127.0.0.1"] if ipv6 else ["127.0.0.1"]
    begun = time.monotonic()
    for i in range(count):
        s = connected(port, addresses[i % len(addresses)])
        s.close()
    say([begun, time.monotonic(), os.getpid()])


def upstream(port, size):
    """Answer with so many bytes, and close."""
    call_me("upstream")
    s = listener(port)

    def serve():
        while True:
            conn = s.accept()[0]
            conn.recv(4096)
            conn.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            conn.sendall(b"x" * size)
            conn.close()

    threading.Thread(target=serve, daemon=True).start()
    say("ready")
    for _ in until_told():
        pass


def stalled(port):
    """Ask, tell since when, and do not read the answer until told."""
    call_me("stalled")
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", port))
    asked = time.monotonic()
    s.sendall(b"GET / HTTP/1.0\r\n\r\n")
    say({"asked": asked})
    for _ in until_told():
        while s.recv(65536):
            pass
        say("read")


def passes(port):
    """Accept a connection, and hand it to another process."""
    call_me("accepts")
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    child = os.fork()
    if not child:
        call_me("receives")
        here.close()
        data, control, _, _ = there.recvmsg(1, socket.CMSG_SPACE(4))
        assert data and control
        say({"parent": os.getppid(), "child": os.getpid()})
        for _ in until_told():
            pass
        os._exit(0)
    there.close()
    s = listener(port)
    client = connected(port)
    conn = s.accept()[0]
    fds = array.array("i", [conn.fileno()])
    here.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    conn.close()
    os.waitpid(child, 0)
    client.close()


def states(port):
    """Hold connections in ESTABLISHED, FIN_WAIT2 and CLOSE_WAIT, half-closed
    here; in FIN_WAIT2 there; and one in TIME_WAIT of this process."""
    call_me("holds")
    s = listener(port)
    held = [s]
    for what in range(3):
        client = connected(port)
        server = s.accept()[0]
        if what == 1:
            client.shutdown(socket.SHUT_WR)
        if what == 2:
            client.close()
            server.recv(1)
            server.close()
        else:
            held += [client, server]
    say({"pid": os.getpid()})
    for line in until_told():
        # What it leaves behind cannot finish: nothing passes any more.
        if line == "leave":
            for sock in held[1:]:
                sock.close()
            say("left")


def mptcp(port):
    """A connection over MPTCP, one more subflow that the kernel opens, and a client
    that does without."""
    call_me("multipath")
    protocol = 262
    s = listener(port, "10.77.0.1", protocol)
    client = connected(port, "10.77.0.1", "10.77.0.1", protocol)
    server = s.accept()[0]
    for _ in range(3):
        client.sendall(b"x")
        server.recv(1)
        server.sendall(b"x")
        client.recv(1)
    plain = connected(port, "10.77.0.1", "127.0.0.1")
    taken = s.accept()[0]
    say({"pid": os.getpid()})
    for _ in until_told():
        pass
    for sock in (plain, taken):
        sock.close()


ROLES = {f.__name__: f for f in (leaky, poke, upstream, stalled, passes, states,
                                 mptcp)}
ROLES[sys.argv[1]](*map(int, sys.argv[2:]))
