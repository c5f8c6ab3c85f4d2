#!/usr/bin/env bash
# One command of the runner on all nodes of a Slurm job; the first node holds Ray's head.
#   sbatch --nodes=8 --gpus-per-node=4 configs/cluster/slurm.sh \
#     run configs/quickstart.yaml --storage /shared/results
# Before: activate the environment with this package, on a file system that all nodes see.
# Cost: that of `runner plan CONFIG`. Expected figures: those of the experiment.
# Not yet run under a real Slurm; a test runs it on one machine, with a stand-in for srun.
#SBATCH --job-name=runner
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

PORT=${PORT:-6379}
DASHBOARD_PORT=${DASHBOARD_PORT:-8265}
HEAD_IP=${HEAD_IP:-$(hostname --ip-address | cut -d ' ' -f 1)} # this script runs on the first node
FOLDER=${FOLDER:-/tmp/ray-$SLURM_JOB_ID}                       # not /tmp/ray: it may be another user's
read -ra HEAD_SIZE <<<"${HEAD_SIZE:-}"                         # such as --num-cpus=0: it trains nothing
read -ra WORKER_SIZE <<<"${WORKER_SIZE:-}"                     # left out: all that a node has

export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
(umask 077 && ray get-auth-token --generate >/dev/null) # in ~/.ray, which all nodes see

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
srun --nodes=1 --ntasks=1 --nodelist="${nodes[0]}" \
  ray start --head --block --node-ip-address="$HEAD_IP" --port="$PORT" --temp-dir="$FOLDER" \
  --dashboard-host=127.0.0.1 --dashboard-port="$DASHBOARD_PORT" "${HEAD_SIZE[@]}" &
steps=($!)

for _ in {1..120}; do
  (echo >"/dev/tcp/$HEAD_IP/$PORT") 2>/dev/null && break
  kill -0 "${steps[0]}" # the head ended: no use to wait
  sleep 1
done

others=$((${#nodes[@]} - 1))
if [ "$others" -gt 0 ]; then
  srun --nodes="$others" --ntasks="$others" --exclude="${nodes[0]}" \
    ray start --block --address="$HEAD_IP:$PORT" "${WORKER_SIZE[@]}" &
  steps+=($!)
fi

# Two minutes before the limit Slurm sends SIGTERM: the runner checkpoints, the job can be requeued.
RAY_ADDRESS="$HEAD_IP:$PORT" python -m runner "$@" &
runner=$!
trap 'kill -TERM "$runner"' TERM
wait "$runner" || true # the signal ends this wait, but not the runner
code=0
wait "$runner" || code=$?
kill -TERM "${steps[@]}" || true
wait "${steps[@]}" || true
exit "$code"
