-- KEYS: the limiter's key. ARGV: now (empty: this server's clock). Gives the microseconds that were left of the block.
return string.format('%.0f', limiter_clear(KEYS[1], tonumber(ARGV[1]) or limiter_now_us()))
