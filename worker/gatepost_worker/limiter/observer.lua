-- Estimates a remote token bucket: a Kalman filter of its supply and of the supply's growth. Reasons: docs/explanation/pacing.md.
--
-- A ticket is the running count of permits. Remaining plus the request's ticket samples the supply: the initial level plus the
-- refill minus other traffic, independent of requests in flight. NaN means absent, so `x == x` tests for presence.

-- Seconds in which at least one request is refilled: the longest Reset seen, or by default the slowest documented bucket: its size an hour.
local function token_time(bucket)
  return bucket.longest_reset > 0 and max(1, bucket.longest_reset) or 3600 / bucket.limit
end

-- The highest refill rate known.
local function capability(bucket)
  return max(bucket.peak, 1 / token_time(bucket))
end

-- Moves the estimate to a later time. Model: the rate drifts by up to half of itself; other traffic arrives at random.
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

-- Corrects the estimate by a sample that is `lag` seconds older. Requests overtake each other by about 30 ms, so the noise of a
-- sample grows with the send rate.
local function correct(bucket, sample, lag, dt, send_rate, full)
  local noise = 0.1 + (0.03 * send_rate) ^ 2 + 0.5 * capability(bucket) * lag
  local p_supply = bucket.var_supply - lag * bucket.covariance
  local p_rate = bucket.covariance - lag * bucket.var_rate
  local spread = p_supply - lag * p_rate + noise
  local surprise = sample - (bucket.supply - lag * bucket.rate)
  if full and surprise < 0 then
    -- A full bucket shows its level but not its refill.
    bucket.supply = sample + lag * bucket.rate
    bucket.var_supply, bucket.covariance = min(bucket.var_supply, noise), 0
    return
  end
  if surprise * surprise > 16 * spread and lag < 0.5 then
    -- Too large for noise: the traffic has changed. Trust the sample and widen the rate's variance.
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

-- Updates the slow average of the rate, and its peak: the refill without other traffic.
local function follow_trend(bucket, dt)
  local span = max(2, 5 / capability(bucket))
  bucket.trend = bucket.trend + dt / (span + dt) * (bucket.rate - bucket.trend)
  bucket.peak = bucket.peak * (1 - dt / (300 * span + dt))
  if bucket.var_rate < 0.25 * bucket.trend ^ 2 then bucket.peak = max(bucket.peak, bucket.trend) end
end

local function measure_from(bucket, at)
  bucket.from, bucket.from_at, bucket.mid, bucket.mid_at = bucket.supply, at, bucket.supply, at
end

-- The error of a rate measured since `from_at`.
local function rate_error(bucket)
  return 3 * math.sqrt(max(1, bucket.var_supply)) / max(1e-3, (bucket.at - bucket.from_at) / 1e6)
end

-- Measures the available rate for reports: the supply's growth over at least five seconds or a hundred requests. A measurement does
-- not span a full bucket (more could have been sent), a 429 (it took nothing), or a burst and the two seconds after it (tickets are
-- out of order).
local function measure(bucket, burst, restart, dt)
  if burst then bucket.from_at, bucket.mid_at = bucket.at + 2e6, 0 end
  if bucket.at < bucket.from_at then return end
  if restart or bucket.mid_at == 0 then return measure_from(bucket, bucket.at) end
  local span = max(5, 100 / capability(bucket)) * 1e6
  if bucket.at - bucket.mid_at >= span then
    bucket.from, bucket.from_at, bucket.mid, bucket.mid_at = bucket.mid, bucket.mid_at, bucket.supply, bucket.at
  end
  local doubt = rate_error(bucket)
  local rate = (bucket.supply - bucket.from) / max(1e-3, (bucket.at - bucket.from_at) / 1e6)
  if doubt > 0.1 * max(rate, bucket.most) then return end
  -- After a worker stalled, one sample is wrong by everything sent meanwhile; wait until the filter has recovered.
  if bucket.var_rate > 0.25 * max(bucket.trend, bucket.most) ^ 2 then return end
  local weight = bucket.most > 0 and min(1, dt / 2) or 1
  bucket.free = bucket.free + weight * (rate - bucket.free)
  bucket.most = max(bucket.most * (1 - dt / (dt + 86400)), bucket.free - doubt)
end

-- Estimates how uneven other traffic is: the variance of the supply's growth between beats of a second. It rises faster than it
-- falls: too low an estimate costs others a 429, too high an estimate costs nothing.
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

-- Returns the available rate, the refill and the rate of other traffic, for reports. A gap within the measurement's error counts as 0.
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
    -- The plan changed: the level is known at once, the rate must be learned again.
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

-- Gatepost's own recent rate.
local function sending(s, now)
  return s.send_rate * max(0, 1 - max(0, now - s.granted_at) / (0.3 * 1e6))
end

local function sample_tenant(s, now, ticket, at, refused, limit, remaining, reset_in)
  local tenant = s.tenant
  local newest, announced = at >= tenant.at, reset_in == reset_in and remaining < limit
  -- Reset shows the rate of a bucket that takes seconds to refill one request; a faster rate must be measured.
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

-- Blocks all permits after a 429. A hint decides how long; without one, the time doubles with each strike, up to a minute. policy.py
-- decides only when the refused operation or row asks again.
local function block(s, now, ticket, remaining, reset_in, retry_after, policy_wait)
  if ticket > s.blocked_ticket then
    -- Refusals of requests in flight together count as one strike.
    s.strikes, s.blocked_ticket = s.strikes + 1, s.issued
  end
  local hint = retry_after == retry_after and retry_after or 0
  -- Reset describes the tenant's bucket. If that bucket is not empty, another one refused.
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
    -- Ten responses in a row: the headers are gone.
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
