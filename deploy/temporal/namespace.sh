#!/bin/sh
# The Temporal namespace of the releases with its retention and search attributes; running it again changes nothing else
# than the retention. Needs the `temporal` command and its connection (TEMPORAL_ADDRESS, TEMPORAL_TLS_*, ...).
#
#   TEMPORAL_NAMESPACE  its name; rollouts by default
#   RETENTION           how long an ended release can be looked at; 30d by default. Incidents and Git keep the rest.
set -eu
namespace=${TEMPORAL_NAMESPACE:-rollouts}
retention=${RETENTION:-30d}
unset TEMPORAL_NAMESPACE # a command that connects to a namespace that is not there yet would fail

if temporal operator namespace describe --namespace "$namespace" >/dev/null 2>&1; then
  temporal operator namespace update --namespace "$namespace" --retention "$retention"
else
  temporal operator namespace create --namespace "$namespace" --retention "$retention" \
    --description "Releases of Tidegate"
fi

# A namespace that was made a moment ago is known to every server only after its cache was refreshed.
tries=0
until known=$(temporal operator search-attribute list --namespace "$namespace" --output json); do
  tries=$((tries + 1))
  [ "$tries" -lt 30 ] || exit 1
  sleep 1
done
for attribute in TidegateNamespace:Keyword TidegateService:Keyword TidegatePhase:Keyword TidegateWeight:Int TidegateRevision:Int \
  TidegateVersion:Keyword TidegateBy:Keyword TidegateWaitingFor:Keyword TidegateOutcome:Keyword; do
  name=${attribute%:*}
  case $known in
    *"\"$name\""*) ;;
    *) temporal operator search-attribute create --namespace "$namespace" --name "$name" --type "${attribute#*:}" ;;
  esac
done
