-- The limiter's state for one key: a string of little-endian doubles, with the policy's bucket only if there is one.
-- Times are microseconds of one clock; rates are requests a second.

-- limit: the size, -1 if unknown. supply, rate: the estimate at the time `at`, with its variances and covariance.
-- trend: the slow average of the rate. peak: the highest trend. refill_at: the next refill announced by the newest reading, or 0.
-- longest_reset: the longest announced time to a refill, in seconds. from, from_at, mid, mid_at: two earlier supplies and their
-- times. free: the rate measured since. most: the highest of those rates. beat, beat_at, growth: the supply at the last beat, and
-- the rate between the last two. unrest: the variance of other traffic in a second.
local function bucket_of(limit, supply, rate, at, var_supply, covariance, var_rate, peak, trend, refill_at, longest_reset,
                         from, from_at, mid, mid_at, free, most, beat, beat_at, growth, unrest)
  return {
    limit = limit, supply = supply, rate = rate, at = at, var_supply = var_supply, covariance = covariance,
    var_rate = var_rate, peak = peak, trend = trend, refill_at = refill_at, longest_reset = longest_reset,
    from = from, from_at = from_at, mid = mid, mid_at = mid_at, free = free, most = most,
    beat = beat, beat_at = beat_at, growth = growth, unrest = unrest,
  }
end

-- first, issued: the ticket before the first, and the last one issued. granted_at, read_at: the times of the last permit and the
-- last reading. unconfirmed: permits since that reading. blocked_until, blocked_ticket, strikes: the end of a 429's block, the last
-- ticket issued before it, refusals in a row. asked, asked_at: a leaking count of refused callers. probes: probes in a row that
-- found nothing. headerless: responses in a row without headers. pace_at, pace_soon: when the next permit of a fixed rate is due,
-- by that rate and by the catch-up rate. send_rate: Gatepost's own recent rate. ignored, ignored_at: the newest hint that was too
-- long to obey, in seconds, and its time.
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
  local form = bytes and #bytes >= 8 and struct.unpack('<d', bytes) or 0
  -- Any other number is damage.
  local newer = form > 4 and form < 256 and form % 1 == 0
  if bytes and #bytes >= 312 and struct.unpack('<d', bytes) == 4 then
    local policy = #bytes == 480 and bucket_of(struct.unpack('<ddddddddddddddddddddd', bytes, 313)) or { limit = -1 }
    local tenant = bucket_of(struct.unpack('<ddddddddddddddddddddd', bytes, 145))
    local a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q = struct.unpack('<ddddddddddddddddd', bytes, 9)
    return state_of(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, tenant, policy)
  end
  -- Tickets start at the current time, so tickets of a lost state are lower and recognisable.
  local cold = state_of(now, now, 0, 0, 0, 0, 0, 0, 0, now, 0, 0, 0, 0, 0, 0, 0, empty_bucket(), { limit = -1 })
  cold.newer = newer
  return cold
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
