-- KEYS: the limiter's key, then perhaps a ceiling's. ARGV: now (empty: this server's clock), lane, want, settings, readings, ceiling rate.
local now = tonumber(ARGV[1]) or limiter_now_us()
return { limiter_acquire(KEYS[1], now, ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], KEYS[2], tonumber(ARGV[6])) }
