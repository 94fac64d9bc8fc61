#!/usr/bin/env bash
# connect.sh: prints the folder of Kafka Connect and Debezium's PostgreSQL connector (both from Maven Central), which it fetches into the
# cache if they are not there: test/run.sh does so before the tests, since a test talks to this machine only.
set -euo pipefail
# shellcheck source=test/support/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

kafka=4.1.0 debezium=3.3.1.Final
libs=$cache/connect-$kafka-debezium-$debezium

if [ ! -e "$libs/complete" ]; then
  once connect
  if [ ! -e "$libs/complete" ]; then
    if ! { have mvn && have java; }; then "$support/install.sh" kafka; fi
    say "Downloading Kafka Connect $kafka and Debezium $debezium (38 MB)"
    rm -rf "$libs"
    mkdir -p "$libs"
    cat >"$libs/pom.xml" <<XML
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>pgch</groupId><artifactId>connect</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>connect-runtime</artifactId><version>$kafka</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>connect-json</artifactId><version>$kafka</version></dependency>
    <dependency><groupId>io.debezium</groupId><artifactId>debezium-connector-postgres</artifactId><version>$debezium</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
XML
    (cd "$libs" && mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies -DoutputDirectory="$libs" >"$libs/log" 2>&1) ||
      { tail -n 20 "$libs/log" >&2; die "Maven could not fetch Kafka Connect"; }
    touch "$libs/complete"
  fi
fi
echo "$libs"
