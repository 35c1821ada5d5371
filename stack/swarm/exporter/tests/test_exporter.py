"""The exporter against managers of its own: one that answers, one that says no, one that hangs, one that is not there."""

import http.server
import importlib.machinery
import importlib.util
import json
import socket
import threading
import time
import unittest

loader = importlib.machinery.SourceFileLoader("exporter", "/usr/local/bin/swarm-exporter")
exporter = importlib.util.module_from_spec(importlib.util.spec_from_loader("exporter", loader))
loader.exec_module(exporter)

NODES = [
    {
        "ID": "n1",
        "Description": {"Hostname": "m1"},
        "Spec": {"Role": "manager", "Availability": "active", "Labels": {"zone": "a"}},
        "Status": {"State": "ready"},
        "ManagerStatus": {"Leader": True, "Reachability": "reachable"},
    },
    {
        "ID": "n2",
        "Description": {"Hostname": "w1"},
        "Spec": {"Role": "worker", "Availability": "drain"},
        "Status": {"State": "down"},
    },
]
SERVICES = [
    {
        "ID": "s1",
        "Spec": {"Name": "s_a-app", "Labels": {"com.docker.stack.namespace": "s"}},
        "ServiceStatus": {"RunningTasks": 3, "DesiredTasks": 3},
        "UpdateStatus": {"State": "rollback_completed"},
    },
    {"ID": "s2", "Spec": {"Name": "lone"}},
]
# Two that run, one that starts, and one that Swarm believes to run on a machine that is down.
TASKS = [
    {"ServiceID": "s1", "NodeID": "n1", "Status": {"State": "running"}},
    {"ServiceID": "s1", "NodeID": "n1", "Status": {"State": "running"}},
    {"ServiceID": "s1", "NodeID": "n1", "Status": {"State": "starting"}},
    {"ServiceID": "s1", "NodeID": "n2", "Status": {"State": "running"}},
    {"ServiceID": "s2", "Status": {"State": "pending"}},
]
ANSWERS = {"nodes": NODES, "services": SERVICES, "tasks": TASKS}


def manager(status, delay=0.0):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            time.sleep(delay)
            body = json.dumps(ANSWERS[self.path.split("/")[2].split("?")[0]]).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_port}"


class Tells(unittest.TestCase):
    def test_nodes_and_services(self):
        told = exporter.describe(NODES, SERVICES, TASKS).splitlines()
        for line in (
            'swarm_node_up{node="m1",zone="a",role="manager"} 1',
            'swarm_node_up{node="w1",zone="",role="worker"} 0',
            'swarm_node_active{node="w1",zone="",role="worker"} 0',
            'swarm_leader{node="m1"} 1',
            'swarm_manager_reachable{node="m1"} 1',
            'swarm_service_replicas_desired{stack="s",service="a-app"} 3',
            'swarm_service_replicas_running{stack="s",service="a-app"} 2',
            'swarm_service_update_state{stack="s",service="a-app",state="rollback_completed"} 1',
            'swarm_service_update_state{stack="s",service="a-app",state="updating"} 0',
            'swarm_service_replicas_desired{stack="",service="lone"} 0',
        ):
            self.assertIn(line, told)
        self.assertEqual(len([line for line in told if line.startswith("# TYPE swarm_node_up ")]), 1)

    def test_a_leader_that_is_new_calls_nobody_down(self):
        unheard = [{**node, "Status": {"State": "unknown"}} for node in NODES]
        told = exporter.describe(unheard, SERVICES, TASKS).splitlines()
        self.assertIn('swarm_node_up{node="w1",zone="",role="worker"} 1', told)
        self.assertIn('swarm_service_replicas_running{stack="s",service="a-app"} 3', told)

    def test_one_good_manager_is_enough_and_quick(self):
        hangs = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(hangs.close)
        silent = f"127.0.0.1:{hangs.getsockname()[1]}"
        watch = exporter.Watch([silent, "127.0.0.1:9", manager(503), manager(200)])
        started = time.monotonic()
        watch.ask()
        self.assertLess(time.monotonic() - started, exporter.PATIENCE)
        self.assertIn("swarm_answers 1", watch.exposition())
        self.assertIn("swarm_node_up", watch.exposition())

    def test_nobody_answers(self):
        watch = exporter.Watch(["127.0.0.1:9", manager(503)])
        watch.ask()
        self.assertEqual(watch.exposition(), "# TYPE swarm_answers gauge\nswarm_answers 0\n")

    def test_old_answers_are_not_told(self):
        watch = exporter.Watch([manager(200)])
        watch.ask()
        watch.at -= exporter.STALE
        self.assertNotIn("swarm_node_up", watch.exposition())
