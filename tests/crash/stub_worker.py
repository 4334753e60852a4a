#!/usr/bin/env python3
"""Stands in for pleach-worker: hands its connection to the test, then sits still.

The test speaks on that connection as the worker would. When the coordinator kills this process,
the connection lives on in the test: a worker that was declared dead and still talks. No real one
can do that; the fence must hold even then.
"""
import array
import os
import socket
import sys

options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
control.connect(options["--socket"])
test = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
test.connect(os.environ["W"] + "/stubs")
said = f"{options['--name']} {os.getpid()} {os.environ['PLEACH_WORKER_TOKEN']}"
test.sendmsg([said.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                array.array("i", [control.fileno()]))])
control.close()
test.recv(1)  # until the test closes it
