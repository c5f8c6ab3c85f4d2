#!/usr/bin/env bash
# One command of the runner on all nodes of a Slurm job, which goes on by itself after its time limit.
#   PARTITION=gpu NODES=8 GPUS=4 bash configs/cluster/slurm.sh run quickstart --storage /shared/results
# Many experiments, each a job of an array, of a file with one such command a line:
#   COMMANDS=commands.txt NODES=1 bash configs/cluster/slurm.sh
# Before: activate the environment with this package, on a file system that all nodes see.
# Cost: that of `runner plan CONFIG`. Expected figures: those of the experiment.
# Run on Slurm 22.05, slurmctld and two slurmd on one machine without GPUs (tests/runner/test_slurm.py).
#SBATCH --ntasks-per-node=1 --signal=B:USR1@120 --requeue --open-mode=append
set -euo pipefail

# What is asked of Slurm. Each can also be given in front of the command, as above.
NAME=${NAME:-runner}
PARTITION=${PARTITION:-}   # left out: the default one
ACCOUNT=${ACCOUNT:-}       # left out: yours
NODES=${NODES:-2}
GPUS=${GPUS:-}             # of each node: 4, or h100:4; left out: none
CPUS=${CPUS:-}             # of each node; left out: whole nodes, which no other job shares
TIME=${TIME:-24:00:00}     # then the job goes back into the queue, and on from its checkpoints
AT_ONCE=${AT_ONCE:-}       # of an array, how many jobs at once; left out: as many as Slurm will
MAX_RESTARTS=${MAX_RESTARTS:-50}
COMMANDS=${COMMANDS:-}     # a file with one command of the runner a line, for an array

if [ -z "${SLURM_JOB_ID:-}" ]; then # not in a job: submit this very script
  asked=(--job-name="$NAME" --nodes="$NODES" --time="$TIME")
  [ -n "$PARTITION" ] && asked+=(--partition="$PARTITION")
  [ -n "$ACCOUNT" ] && asked+=(--account="$ACCOUNT")
  [ -n "$GPUS" ] && asked+=(--gpus-per-node="$GPUS")
  if [ -n "$CPUS" ]; then asked+=(--cpus-per-task="$CPUS"); else asked+=(--exclusive); fi
  if [ -n "$COMMANDS" ]; then
    [ $# -eq 0 ] || { echo "slurm.sh: COMMANDS has the commands; leave out: $*" >&2; exit 2; }
    number=$(grep -c . "$COMMANDS") || { echo "slurm.sh: $COMMANDS has no command" >&2; exit 2; }
    asked+=(--array="1-$number${AT_ONCE:+%$AT_ONCE}")
  elif [ $# -eq 0 ]; then
    echo "slurm.sh: say what to do, such as: run quickstart --storage /shared/results" >&2
    exit 2
  fi
  COMMANDS=$COMMANDS exec sbatch "${asked[@]}" "$0" "$@"
fi

PORT=${PORT:-$((20000 + SLURM_JOB_ID % 6000))}                     # Ray's workers have 10002 to 19999,
DASHBOARD_PORT=${DASHBOARD_PORT:-$((26000 + SLURM_JOB_ID % 6000))} # and other jobs may share a node
HEAD_IP=${HEAD_IP:-$(hostname --ip-address | cut -d ' ' -f 1)}     # this script runs on the first node
FOLDER=${FOLDER:-/tmp/ray-$SLURM_JOB_ID}                           # not /tmp/ray: it may be another user's
HEAD_SIZE=${HEAD_SIZE:-}     # such as --num-cpus=0: it trains nothing
WORKER_SIZE=${WORKER_SIZE:-} # left out: all that the job has of a node

# Two minutes before the limit, or up to a minute sooner, Slurm sends SIGUSR1 to this script alone; where
# somebody ends or displaces the job, SIGTERM to all that it started. The runner writes its checkpoints on
# SIGTERM, and ends with 143.
limit=no runner=
trap 'limit=yes; [ -z "$runner" ] || kill -TERM "$runner"' USR1
trap : TERM

if [ -n "$COMMANDS" ]; then
  line=$(grep . "$COMMANDS" | sed -n "${SLURM_ARRAY_TASK_ID}p")
  eval "set -- $line" # as a shell would read it, with its quotes
fi

export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
(umask 077 && ray get-auth-token --generate >/dev/null) # in ~/.ray, which all nodes see
if [ -n "${SLURM_CPUS_PER_TASK:-}" ]; then export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK; fi

# Ray counts a node's processors; a job may have fewer of them. What is given later wins.
started() { # the options of srun, then --, then those of `ray start`
  local where=()
  while [ "$1" != -- ]; do where+=("$1"); shift; done
  # shellcheck disable=SC2016
  srun "${where[@]}" bash -c 'exec ray start --block --num-cpus="$SLURM_CPUS_ON_NODE" "$@"' "$@" &
}

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
read -ra size <<<"$HEAD_SIZE"
started --nodes=1 --ntasks=1 --nodelist="${nodes[0]}" -- --head --node-ip-address="$HEAD_IP" \
  --port="$PORT" --temp-dir="$FOLDER" --dashboard-host=127.0.0.1 \
  --dashboard-port="$DASHBOARD_PORT" "${size[@]}"
steps=($!)

for _ in {1..120}; do
  (echo >"/dev/tcp/$HEAD_IP/$PORT") 2>/dev/null && break
  kill -0 "${steps[0]}" # the head ended: no use to wait
  sleep 1
done

others=$((${#nodes[@]} - 1))
if [ "$others" -gt 0 ]; then
  read -ra size <<<"$WORKER_SIZE"
  started --nodes="$others" --ntasks="$others" --exclude="${nodes[0]}" -- \
    --address="$HEAD_IP:$PORT" "${size[@]}"
  steps+=($!)
fi

RAY_ADDRESS="$HEAD_IP:$PORT" python -m runner "$@" &
runner=$!
code=0
while :; do # a signal ends a wait, but not the runner
  code=0
  wait "$runner" || code=$?
  kill -0 "$runner" 2>/dev/null || break
done
kill -TERM "${steps[@]}" || true
wait "${steps[@]}" || true

if [ "$limit" = yes ] && [ "$code" -eq 143 ]; then
  if [ "${SLURM_RESTART_COUNT:-0}" -lt "$MAX_RESTARTS" ]; then
    echo "slurm.sh: at its time limit; back into the queue, to go on from its checkpoints"
    exec scontrol requeue "$SLURM_JOB_ID"
  fi
  echo "slurm.sh: at its time limit for the last of $MAX_RESTARTS times (MAX_RESTARTS)" >&2
fi
exit "$code"
