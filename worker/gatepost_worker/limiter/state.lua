-- What the limiter remembers of one key: a string of little-endian doubles, the policy's bucket only if there is one.
-- Times are microseconds of the caller's one clock, rates are requests a second.

-- limit: the size, -1 while unknown. supply, rate: the estimate at the time `at`, with its variances and covariance.
-- peak: the highest that the slow average `trend` of the rate has been. refill_at: when the newest reading announced the
-- next refill, or 0. longest_reset: the longest time to a refill that was ever announced, in seconds.
-- from, from_at, mid, mid_at: two earlier supplies and their times. free, most: the rate measured since, and the highest of those.
-- beat, beat_at, growth: the supply at the last beat, and the rate between the last two. unrest: the variance of what others take
-- in a second.
local function bucket_of(limit, supply, rate, at, var_supply, covariance, var_rate, peak, trend, refill_at, longest_reset,
                         from, from_at, mid, mid_at, free, most, beat, beat_at, growth, unrest)
  return {
    limit = limit, supply = supply, rate = rate, at = at, var_supply = var_supply, covariance = covariance,
    var_rate = var_rate, peak = peak, trend = trend, refill_at = refill_at, longest_reset = longest_reset,
    from = from, from_at = from_at, mid = mid, mid_at = mid_at, free = free, most = most,
    beat = beat, beat_at = beat_at, growth = growth, unrest = unrest,
  }
end

-- first, issued: the ticket before the first, and the last one given. granted_at, read_at: the last permit and the last
-- reading. unconfirmed: permits since that reading. blocked_until, blocked_ticket, strikes: the block after a 429, the last
-- ticket that was out by then, refusals in a row. asked, asked_at: how many ask in vain, a leaking count. probes: looks in a
-- row that found nothing. headerless: answers in a row without headers. pace_at, pace_soon: when the next permit of a fixed
-- rate is due, by the rate and by what makes up for late ones. send_rate: our own recent rate. ignored, ignored_at: the newest hint that was too long to obey, in seconds, and when
-- it came.
local function state_of(first, issued, granted_at, read_at, unconfirmed, blocked_until, blocked_ticket, strikes,
                        asked, asked_at, probes, headerless, pace_at, pace_soon, send_rate, ignored, ignored_at, tenant, policy)
  return {
    first = first, issued = issued, granted_at = granted_at, read_at = read_at, unconfirmed = unconfirmed,
    blocked_until = blocked_until, blocked_ticket = blocked_ticket, strikes = strikes, asked = asked,
    asked_at = asked_at, probes = probes, headerless = headerless, pace_at = pace_at, pace_soon = pace_soon,
    send_rate = send_rate, ignored = ignored, ignored_at = ignored_at, tenant = tenant, policy = policy,
  }
end

local function empty_bucket()
  return bucket_of(-1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
end

local function load(key, now)
  local bytes = redis.call('GET', key)
  if bytes and #bytes >= 312 and struct.unpack('<d', bytes) == 4 then
    local policy = #bytes == 480 and bucket_of(struct.unpack('<ddddddddddddddddddddd', bytes, 313)) or { limit = -1 }
    local tenant = bucket_of(struct.unpack('<ddddddddddddddddddddd', bytes, 145))
    local a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q = struct.unpack('<ddddddddddddddddd', bytes, 9)
    return state_of(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, tenant, policy)
  end
  -- Tickets start at the clock, so that those of a lost state are lower and known as strangers.
  return state_of(now, now, 0, 0, 0, 0, 0, 0, 0, now, 0, 0, 0, 0, 0, 0, 0, empty_bucket(), { limit = -1 })
end

local function packed(bucket)
  return bucket.limit, bucket.supply, bucket.rate, bucket.at, bucket.var_supply, bucket.covariance, bucket.var_rate,
    bucket.peak, bucket.trend, bucket.refill_at, bucket.longest_reset,
    bucket.from, bucket.from_at, bucket.mid, bucket.mid_at, bucket.free, bucket.most,
    bucket.beat, bucket.beat_at, bucket.growth, bucket.unrest
end

local function save(key, s)
  local bytes = struct.pack('<ddddddddddddddddddddddddddddddddddddddd',
    4, s.first, s.issued, s.granted_at, s.read_at, s.unconfirmed, s.blocked_until, s.blocked_ticket, s.strikes,
    s.asked, s.asked_at, s.probes, s.headerless, s.pace_at, s.pace_soon, s.send_rate,
    s.ignored, s.ignored_at, packed(s.tenant))
  if s.policy.limit >= 0 then bytes = bytes .. struct.pack('<ddddddddddddddddddddd', packed(s.policy)) end
  redis.call('SET', key, bytes, 'PX', '604800000') -- a week without a permit: the next start is cold
end
