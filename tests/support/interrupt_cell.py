"""Run cells in a kernel, interrupt each that says so, and print how each ended and what it printed.

It is interrupted when it has run for a second. The cells are a list in JSON. jupyter_client keeps
an event loop, so this is a program of its own.
"""

import json
import sys
import time

from jupyter_client.manager import start_new_kernel

PATIENCE = 50


def run(manager, client, source):
    message = client.execute(source)
    printed = []
    while True:
        reply = client.get_iopub_msg(timeout=PATIENCE)
        if reply["parent_header"].get("msg_id") != message:
            continue
        content = reply["content"]
        if reply["msg_type"] == "stream" and content["name"] == "stdout":
            printed.append(content["text"])
        elif reply["msg_type"] == "execute_input" and source.startswith("# interrupted"):
            time.sleep(1)
            manager.interrupt_kernel()
        elif content.get("execution_state") == "idle":
            break
    status = client.get_shell_msg(timeout=PATIENCE)["content"]
    return status.get("ename", status["status"]), "".join(printed)


manager, client = start_new_kernel()
try:
    print(json.dumps([run(manager, client, source) for source in json.load(sys.stdin)]))
finally:
    client.stop_channels()
    manager.shutdown_kernel()
