-- KEYS: the limiter's key. ARGV: now (empty: this server's clock), readings.
limiter_observe(KEYS[1], tonumber(ARGV[1]) or limiter_now_us(), ARGV[2])
return 1
