"""Tables, keys and times: what comes in, how it hangs together, and since when it could have been known."""
