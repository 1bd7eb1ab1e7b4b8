-- KEYS: the limiter's key. ARGV: now (empty: this server's clock).
return limiter_describe(KEYS[1], tonumber(ARGV[1]) or limiter_now_us()) or {}
