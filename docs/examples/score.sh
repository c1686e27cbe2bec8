#!/bin/sh
# One score with curl. Needs SCORER (address), SCORER_KEY and BODY (a file with the request).
# --retry repeats after 408, 429, 500, 502, 503, 504 and timeouts, and heeds Retry-After: give the request a request_id.
# To a file, which each attempt begins anew: written at once, what a refused attempt said would stand before the answer.
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
curl --silent --show-error --fail-with-body --retry 5 --retry-connrefused --max-time 10 --output "$answer" \
  --header "Authorization: Bearer $SCORER_KEY" --header "Content-Type: application/json" \
  --data-binary "@$BODY" "$SCORER/v1/score"
status=$?
cat "$answer"
exit $status
