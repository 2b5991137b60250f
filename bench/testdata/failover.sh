#!/bin/sh
# The failover as people script it: curl, and sleeps that are long enough by
# the settings. Usage: failover.sh MASTER FAULT, where FAULT is a command that
# takes the power of a slave that runs nginx.
set -eu
master=$1
fault=$2

running() {
  curl -fsS -m 5 "http://$master:8080/v2/apps/nginx" | sed -n 's/.*"tasksRunning":\([0-9]*\).*/\1/p'
}
answers() {
  i=0
  while [ $i -lt 20 ]; do
    curl -fsS -m 5 -o /dev/null "http://$master:10000/" || return 1
    i=$((i + 1))
  done
}

[ "$(running)" = 2 ] || { echo "before: $(running) tasks"; exit 1; }
answers || { echo "before: no answer"; exit 1; }

$fault
# The slave is lost after 8 s at most (slave_ping_timeout 2 s, 3 times, and one
# more), Marathon backs off for 1 s, the health check comes after 1 s: with the
# start of a container in between, 12 s have been enough so far.
sleep 12
[ "$(running)" = 2 ] || { echo "after: $(running) tasks"; exit 1; }
answers || { echo "after: no answer"; exit 1; }

lab heal
# Until the slave has registered.
sleep 5
[ "$(running)" = 2 ] || { echo "in the end: $(running) tasks"; exit 1; }
echo PASS
