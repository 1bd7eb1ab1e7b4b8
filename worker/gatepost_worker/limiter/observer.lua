-- The observer of a remote token bucket: a Kalman filter of its supply and of the rate at which that grows.
--
-- Every permit has a ticket, the running count of permits. A response's Remaining plus its ticket is a sample of the
-- bucket's supply: what it ever held, plus what flowed in, less what others took, whatever else is under way.
-- NaN means "not said", so `x == x` asks whether x was said. Why it is built this way: docs/explanation/pacing.md.

-- Seconds in which at least one request flows back: what Reset has shown, or the size an hour, which is the slowest
-- bucket that is documented.
local function token_time(bucket)
  return bucket.longest_reset > 0 and max(1, bucket.longest_reset) or 3600 / bucket.limit
end

-- The rate that the bucket is capable of, as far as it is known.
local function capability(bucket)
  return max(bucket.peak, 1 / token_time(bucket))
end

-- Moves the estimate to a later time; the rate may wander by half of itself in its own time, others come at random.
local function advance(bucket, at)
  local dt = (at - bucket.at) / 1e6
  if dt <= 0 then return 0 end
  local typical = max(capability(bucket), bucket.rate, -bucket.rate)
  local wander = 0.25 * typical * typical * min(1, typical / 5)
  local covariance, var_rate = bucket.covariance, bucket.var_rate
  bucket.supply = bucket.supply + bucket.rate * dt
  bucket.var_supply = bucket.var_supply + dt * (2 * covariance + dt * var_rate + 0.5 * typical) + wander * dt ^ 3 / 3
  bucket.covariance = covariance + dt * var_rate + wander * dt * dt / 2
  bucket.var_rate = var_rate + wander * dt
  bucket.at = at
  return dt
end

-- Takes in a sample that was true `lag` seconds before the estimate's own time. Requests overtake each other by some
-- 30 ms, so the faster we send, the less a ticket says about its place in the queue.
local function correct(bucket, sample, lag, dt, send_rate, full)
  local noise = 0.1 + (0.03 * send_rate) ^ 2 + 0.5 * capability(bucket) * lag
  local p_supply = bucket.var_supply - lag * bucket.covariance
  local p_rate = bucket.covariance - lag * bucket.var_rate
  local spread = p_supply - lag * p_rate + noise
  local surprise = sample - (bucket.supply - lag * bucket.rate)
  if full and surprise < 0 then
    -- A full bucket loses what flows in, so it tells the level and nothing of the rate.
    bucket.supply = sample + lag * bucket.rate
    bucket.var_supply, bucket.covariance = min(bucket.var_supply, noise), 0
    return
  end
  if surprise * surprise > 16 * spread and lag < 0.5 then
    -- No noise is that large: the world has changed. Believe the sample and doubt the rate.
    local doubt = (surprise / max(dt, 0.3)) ^ 2
    bucket.var_supply = bucket.var_supply + surprise * surprise
    bucket.var_rate = bucket.var_rate + doubt
    p_supply = p_supply + surprise * surprise
    p_rate = p_rate - lag * doubt
    spread = p_supply - lag * p_rate + noise
  end
  local bound = 2 * max(bucket.limit, bucket.peak)
  local gain_supply, gain_rate = p_supply / spread, p_rate / spread
  bucket.supply = bucket.supply + gain_supply * surprise
  bucket.rate = max(-bound, min(bound, bucket.rate + gain_rate * surprise))
  bucket.var_supply = max(1e-9, bucket.var_supply - gain_supply * p_supply)
  bucket.covariance = bucket.covariance - gain_supply * p_rate
  bucket.var_rate = max(1e-12, bucket.var_rate - gain_rate * p_rate)
end

-- The slow average of the rate, and the highest it has been: what flows in when nobody else takes any.
local function follow_trend(bucket, dt)
  local window = max(2, 5 / capability(bucket))
  bucket.trend = bucket.trend + dt / (window + dt) * (bucket.rate - bucket.trend)
  bucket.peak = bucket.peak * (1 - dt / (300 * window + dt))
  if bucket.var_rate < 0.25 * bucket.trend ^ 2 then bucket.peak = max(bucket.peak, bucket.trend) end
end

local function measure_from(bucket, at)
  bucket.from, bucket.from_at, bucket.mid, bucket.mid_at = bucket.supply, at, bucket.supply, at
end

-- How much a rate that was measured since `from_at` may be wrong.
local function rate_error(bucket)
  return 3 * math.sqrt(max(1, bucket.var_supply)) / max(1e-3, (bucket.at - bucket.from_at) / 1e6)
end

-- Measures for people what others leave: the growth of the supply over the last seconds, at least five, or those of a hundred requests.
-- Not across a time when the bucket was full, since the fleet could have sent more, nor across a 429, which took nothing, nor
-- across a burst and two seconds more, when tickets say little about their place in the queue.
local function measure(bucket, burst, restart, dt)
  if burst then bucket.from_at, bucket.mid_at = bucket.at + 2e6, 0 end
  if bucket.at < bucket.from_at then return end
  if restart or bucket.mid_at == 0 then return measure_from(bucket, bucket.at) end
  local window = max(5, 100 / capability(bucket)) * 1e6
  if bucket.at - bucket.mid_at >= window then
    bucket.from, bucket.from_at, bucket.mid, bucket.mid_at = bucket.mid, bucket.mid_at, bucket.supply, bucket.at
  end
  local doubt = rate_error(bucket)
  local rate = (bucket.supply - bucket.from) / max(1e-3, (bucket.at - bucket.from_at) / 1e6)
  if doubt > 0.1 * max(rate, bucket.most) then return end
  -- A worker that was held up for a moment makes one sample wrong by all that was sent meanwhile; soon the filter knows better.
  if bucket.var_rate > 0.25 * max(bucket.trend, bucket.most) ^ 2 then return end
  local weight = bucket.most > 0 and min(1, dt / 2) or 1
  bucket.free = bucket.free + weight * (rate - bucket.free)
  bucket.most = max(bucket.most * (1 - dt / (dt + 86400)), bucket.free - doubt)
end

-- How unevenly others come: the variance of the supply's growth, from one beat of a second to the next. It rises faster than it falls,
-- since an estimate that is too low costs others a 429, and one that is too high costs nothing.
local function listen(bucket, restart)
  local dt = (bucket.at - bucket.beat_at) / 1e6
  if restart or bucket.beat_at == 0 then
    bucket.beat, bucket.beat_at, bucket.growth = bucket.supply, bucket.at, math.huge
    return
  end
  if dt < max(1, 10 / capability(bucket)) then return end
  local growth = (bucket.supply - bucket.beat) / dt
  if bucket.growth < math.huge then
    local variance = (growth - bucket.growth) ^ 2 * dt / 2
    local weight = variance > bucket.unrest and 0.15 or 0.05
    bucket.unrest = bucket.unrest + weight * (variance - bucket.unrest)
  end
  bucket.beat, bucket.beat_at, bucket.growth = bucket.supply, bucket.at, growth
end

-- The rate that others leave, the refill and what others take, for people; what the error of the measurement explains is nothing.
local function known_rates(bucket)
  local announced = bucket.longest_reset > 2 and 1 / bucket.longest_reset or 0
  local refill = max(bucket.most, announced)
  if bucket.most <= 0 then return refill, refill, 0 end
  local gap = refill - bucket.free
  if gap <= max(0.03 * refill, rate_error(bucket)) then gap = 0 end
  return max(0, bucket.free), refill, min(gap, refill)
end

local function sample_bucket(bucket, limit, remaining, ticket, at, rate, spread, send_rate, refused)
  local sample = remaining + ticket
  if bucket.limit < 1 then
    bucket.limit, bucket.supply, bucket.at, bucket.refill_at, bucket.longest_reset = limit, sample, at, 0, 0
    bucket.rate, bucket.trend, bucket.peak = rate, rate, rate
    bucket.var_supply, bucket.covariance, bucket.var_rate = 0.25, 0, spread * spread
    bucket.free, bucket.most = rate, rate
    bucket.beat, bucket.beat_at, bucket.growth, bucket.unrest = 0, 0, 0, 0
    measure_from(bucket, at)
  elseif bucket.limit ~= limit then
    -- Another plan: the level is known at once, the rate is found again.
    bucket.limit, bucket.supply, bucket.at = limit, sample, at
    bucket.var_supply, bucket.covariance = 0.25, 0
    bucket.var_rate = bucket.var_rate + capability(bucket) ^ 2
    bucket.free, bucket.most = 0, 0
    bucket.beat_at = 0
    measure_from(bucket, at)
  else
    local lag = max(0, bucket.at - at) / 1e6
    local dt = advance(bucket, at)
    local full = remaining >= limit - 1
    correct(bucket, sample, lag, dt, send_rate, full)
    follow_trend(bucket, dt)
    local burst = send_rate > 10 + 3 * capability(bucket)
    measure(bucket, burst, refused or (full and at >= bucket.from_at), dt)
    listen(bucket, burst or refused or full)
  end
end

-- Our own recent rate.
local function sending(s, now)
  return s.send_rate * max(0, 1 - max(0, now - s.granted_at) / (0.3 * 1e6))
end

local function sample_tenant(s, now, ticket, at, refused, limit, remaining, reset_in)
  local tenant = s.tenant
  local newest, announced = at >= tenant.at, reset_in == reset_in and remaining < limit
  -- A bucket that needs seconds for one request shows its rate in Reset; a fast one has to be watched.
  local rate, spread = 0, limit / 2
  if announced and reset_in > 2 then rate, spread = 1 / reset_in, 1 / reset_in end
  sample_bucket(tenant, limit, remaining, ticket, at, rate, spread, sending(s, at), refused)
  if newest then
    if announced then tenant.longest_reset = max(tenant.longest_reset, reset_in) end
    tenant.refill_at = announced and now + reset_in * 1e6 or 0
  end
end

local function sample_policy(s, ticket, at, refused, quota, interval, remaining)
  if quota == quota then
    local rate, spread = 0, quota / 2
    if interval == interval then rate, spread = quota / interval, 0.3 * quota / interval end
    sample_bucket(s.policy, quota, remaining, ticket, at, rate, spread, sending(s, at), refused)
  elseif not refused then
    s.policy.limit = -1
  end
end

local function block(s, now, ticket, remaining, reset_in, retry_after, policy_wait)
  if ticket > s.blocked_ticket then
    -- Refusals of requests that were under way together are one strike.
    s.strikes, s.blocked_ticket = s.strikes + 1, s.issued
  end
  local hint = retry_after == retry_after and retry_after or 0
  -- Reset speaks of the tenant's bucket; while that holds something, another bucket has refused.
  if reset_in == reset_in and not (remaining == remaining and remaining > 0) then hint = max(hint, reset_in) end
  if hint <= 0 and policy_wait == policy_wait then hint = policy_wait end
  if hint <= 0 then hint = min(60, 2 ^ (s.strikes - 1)) end
  local jitter = 0.25 * (now % 997) / 997
  s.blocked_until = max(s.blocked_until, now + (max(0.5, hint) + jitter) * 1e6)
end

local function take_reading(s, now, readings, offset)
  local ticket, age, was_refused, limit, remaining, reset_in, retry_after, policy_wait, quota, interval, policy_remaining, ignored =
    struct.unpack('<dddddddddddd', readings, offset)
  local refused, at = was_refused == 1, now - max(0, age)
  local known = ticket > s.first and ticket <= s.issued
  if not known then ticket = s.issued end
  if limit ~= limit or remaining ~= remaining then
    s.headerless = s.headerless + 1
    -- So many answers in a row: the headers are gone.
    if s.headerless >= 10 then s.tenant.limit, s.policy.limit = -1, -1 end
  else
    s.headerless = 0
    if known then
      s.read_at, s.unconfirmed = now, 0
      sample_tenant(s, now, ticket, at, refused, limit, remaining, reset_in)
      sample_policy(s, ticket, at, refused, quota, interval, policy_remaining)
    end
  end
  if refused then
    block(s, now, ticket, remaining, reset_in, retry_after, policy_wait)
  elseif known and ticket > s.blocked_ticket then
    s.strikes = 0
  end
  if ignored == ignored then s.ignored, s.ignored_at = ignored, now end
end

local function take_readings(s, now, readings)
  for offset = 1, #readings, 96 do take_reading(s, now, readings, offset) end
end
