"""One thin file per page: read the state, call a flow, draw."""
