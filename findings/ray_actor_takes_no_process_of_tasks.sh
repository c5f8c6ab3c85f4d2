#!/usr/bin/env bash
# Ray 2.60.0: a worker process that has run a task is handed on to other tasks and never to an actor,
# though job, resources and (empty) runtime environment are the same and the process is idle.
#
#     bash findings/ray_actor_takes_no_process_of_tasks.sh
#
# Seen on 2026-11-30, Linux x86-64, Python 3.11:
#
#     ray 2.60.0
#     a second task is in the process of the first: True
#     an actor is in the process of those tasks   : False
#     a task after that is in that process again  : True
#
# So processes cannot be warmed for actors by tasks, such as by an import of torch: the actor starts
# in a cold one, and the warm one stays idle until it is ended. What is to be imported before it is
# needed must be imported by the actor's own first call. Exit code 1, if this is seen no more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q ray==2.60.0

cd "$folder"
RAY_USAGE_STATS_ENABLED=0 "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import os
import sys

import ray

print("ray", ray.__version__)
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")


@ray.remote(num_cpus=0)
def task() -> int:
    return os.getpid()


@ray.remote(num_cpus=0)
class Actor:
    def pid(self) -> int:
        return os.getpid()


first, second = ray.get(task.remote()), ray.get(task.remote())
actor = Actor.remote()
found = ray.get(actor.pid.remote())
third = ray.get(task.remote())
seen = [second == first, found == first, third == first]
print("a second task is in the process of the first:", seen[0])
print("an actor is in the process of those tasks   :", seen[1])
print("a task after that is in that process again  :", seen[2])
ray.shutdown()
sys.exit(seen != [True, False, True])
PYTHON
