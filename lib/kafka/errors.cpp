#include "kafka/errors.h"

#include "kafka/handle.h"

namespace pgch::kafka {
namespace {

struct Meaning {
  Errc code = Errc::connection;
  Recovery recovery = Recovery::retry;
  const char* advice = "";
};

Meaning local_meaning(rd_kafka_resp_err_t code) {
  switch (code) {
    case RD_KAFKA_RESP_ERR__RESOLVE:
      return {Errc::connection, Recovery::retry,
              "a broker's host name cannot be resolved; check bootstrap and the brokers' advertised.listeners"};
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__NODE_UPDATE:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR__DESTROY:
      return {Errc::connection, Recovery::retry,
              "no broker can be reached; check that Kafka runs and that kafka.bootstrap (--kafka) is right"};
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
      return {Errc::timeout, Recovery::retry, "no answer in time; check that the brokers run and can be reached"};
    case RD_KAFKA_RESP_ERR__SSL:
      return {Errc::authentication, Recovery::halt,
              "TLS failed; check ssl.ca.location, the certificates and the host names in them"};
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
      return {Errc::authentication, Recovery::halt, "the broker refused the credentials; check the sasl.* settings"};
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      return {Errc::not_found, Recovery::halt,
              "the topic or partition does not exist; create it, or switch create_topic on"};
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
      return {Errc::not_found, Recovery::halt, "the offset to read from is not in the topic any more"};
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
    case RD_KAFKA_RESP_ERR__UNKNOWN_GROUP:
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
      return {Errc::config, Recovery::halt, "librdkafka does not take a setting"};
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
      return {Errc::unsupported, Recovery::halt, "the brokers are too old for this"};
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
      return {Errc::corrupt, Recovery::retry, "a broker's answer could not be read"};
    case RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST:
      return {Errc::conflict, Recovery::retry, "the group gave the partition to another consumer"};
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
      return {Errc::stopped, Recovery::retry, "the messages were withdrawn"};
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR__INCONSISTENT:
    case RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE:
      return {Errc::connection, Recovery::retry, "the producer lost its state and is made anew"};
    default:
      return {Errc::connection, Recovery::retry, "the Kafka client failed"};
  }
}

Meaning broker_meaning(rd_kafka_resp_err_t code) {
  switch (code) {
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      return {Errc::permission, Recovery::halt, "the user has no right to this topic"};
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
      return {Errc::permission, Recovery::halt, "the user has no right to this consumer group"};
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
      return {Errc::permission, Recovery::halt,
              "the user has no right to this; an idempotent producer needs IdempotentWrite or Write"};
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
      return {Errc::authentication, Recovery::halt, "the broker refused the credentials; check the sasl.* settings"};
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
      return {Errc::not_found, Recovery::halt, "the topic does not exist; create it, or switch create_topic on"};
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
      return {Errc::not_found, Recovery::halt, "the offset to read from is not in the topic any more"};
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
      return {Errc::limit, Recovery::halt, "a message is larger than the topic's max.message.bytes"};
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
      return {Errc::config, Recovery::halt, "the broker does not take the topic's name or settings"};
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT:
      return {Errc::unsupported, Recovery::halt, "the brokers are too old for this"};
    case RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE:
      return {Errc::limit, Recovery::halt, "the broker's offset.metadata.max.bytes is below 4096; raise it"};
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
      return {Errc::conflict, Recovery::retry, "the group gave the partition to another consumer"};
    case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
      return {Errc::conflict, Recovery::retry, "the group is being rebalanced"};
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
      return {Errc::data, Recovery::halt, "the broker does not take the message (a compacted topic needs keys)"};
    case RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS:
      return {Errc::config, Recovery::halt, "the broker does not allow acks=all"};
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
      return {Errc::connection, Recovery::retry, "too few replicas are in sync for acks=all (min.insync.replicas)"};
    case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
      return {Errc::io, Recovery::retry, "a broker cannot write its log; look at its disk"};
    default:
      return {Errc::connection, Recovery::retry, "the broker could not do it now"};
  }
}

}  // namespace

Error error_of(int code, std::string_view doing, std::string_view detail) {
  const auto err = static_cast<rd_kafka_resp_err_t>(code);
  const Meaning meaning = code < 0 ? local_meaning(err) : broker_meaning(err);
  Error error{meaning.code, meaning.recovery, false, "Kafka: while ", rd_kafka_err2name(err)};
  error.message += doing;
  error.message += ": ";
  error.message += meaning.advice;
  error.message += " (";
  error.message += detail.empty() ? std::string_view(rd_kafka_err2str(err)) : detail;
  error.message += ")";
  return error;
}

bool is_stale_owner(const Error& error) {
  return error.native == rd_kafka_err2name(RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION) ||
         error.native == rd_kafka_err2name(RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID) ||
         error.native == rd_kafka_err2name(RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID) ||
         error.native == rd_kafka_err2name(RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST);
}

}  // namespace pgch::kafka
