#!/usr/bin/env bash
# kafka.sh start|stop|crash DIR: a one-node Apache Kafka (KRaft) in DIR on free loopback ports. Writes DIR/env with
# PGCH_TEST_KAFKA, and DIR/pid. With PGCH_TEST_KAFKA set, that broker is used and nothing is started.
# crash: SIGKILL, then up again with the same data and ports.
set -euo pipefail
# shellcheck source=test/support/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

version=4.1.0
libs=$cache/kafka-$version

fetch() {
  [ -e "$libs/complete" ] && return
  once kafka
  [ -e "$libs/complete" ] && return
  if ! { have mvn && have java && have kcat; }; then "$support/install.sh" kafka; fi
  say "Downloading Apache Kafka $version (45 MB)"
  rm -rf "$libs"
  mkdir -p "$libs"
  cat >"$libs/pom.xml" <<XML
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>pgch</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
XML
  (cd "$libs" && mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies -DoutputDirectory="$libs" >"$libs/log" 2>&1) ||
    { tail -n 20 "$libs/log" >&2; die "Maven could not fetch Kafka"; }
  touch "$libs/complete"
  exec 9>&-
}

launch() {
  java -Xms256m -Xmx512m -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.showDateTime=true \
    -cp "$libs/*" kafka.Kafka "$dir/server.properties" >>"$dir/log" 2>&1 </dev/null 9>&- &
  record_pid $! "$dir/pid"
  await 60 "$dir/pid" kcat -b "127.0.0.1:$1" -L -m 2 || { tail -n 20 "$dir/log" >&2; stop; die "Kafka did not start; its log is above"; }
}

start() {
  if [ -n "${PGCH_TEST_KAFKA:-}" ]; then
    say "Using Kafka at $PGCH_TEST_KAFKA"
    export_line PGCH_TEST_KAFKA "$PGCH_TEST_KAFKA" >"$dir/env"
    return
  fi
  fetch
  stop # what an earlier run may have left here
  mkdir -p "$dir"
  local port controller
  port=$(free_port)
  controller=$(free_port)
  while [ "$controller" = "$port" ]; do controller=$(free_port); done
  cat >"$dir/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$dir/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
PROPERTIES
  say "Starting Kafka on 127.0.0.1:$port"
  java -cp "$libs/*" kafka.tools.StorageTool format -t 4L6g3nShT-eMCtK--X86sw -c "$dir/server.properties" >"$dir/log" 2>&1 ||
    { tail -n 20 "$dir/log" >&2; die "Kafka's storage could not be formatted in $dir"; }
  launch "$port"
  {
    export_line PGCH_TEST_KAFKA "127.0.0.1:$port"
    export_line PGCH_TEST_KAFKA_PIDFILE "$dir/pid"
  } >"$dir/env"
}

crash() {
  kill_recorded "$dir/pid"
  launch "$(sed -n 's/^advertised.listeners=.*://p' "$dir/server.properties")"
}

stop() {
  stop_recorded "$dir/pid" 20
  rm -rf "$dir/data" "$dir/env"
}

[ $# = 2 ] || die "usage: kafka.sh start|stop|crash DIR"
dir=$(absolute "$2")
case $1 in start) start ;; stop) stop ;; crash) crash ;; *) die "usage: kafka.sh start|stop|crash DIR" ;; esac
