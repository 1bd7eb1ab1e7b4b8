-- The shared limiter: an observer of the remote token buckets, and the rule that spends what they hold.
-- Plain local functions without a clock of their own, so that a larger script can carry them and a simulation can drive
-- them. Why it is built this way: docs/explanation/pacing.md.
--
-- Times are microseconds of the caller's one clock, rates are requests a second, NaN means "not said".
-- Every permit has a ticket, the running count of permits. A response's Remaining plus its ticket is a sample of the
-- bucket's supply: what it ever held, plus what flowed in, less what others took, whatever else is under way.

local limiter_acquire, limiter_observe, limiter_describe, limiter_now_us

do
  local floor, max, min, sqrt, huge = math.floor, math.max, math.min, math.sqrt, math.huge
  local SECOND = 1e6

  local function said(value)
    return value == value
  end

  -- State: one string of little-endian doubles a key --------------------------------------------------------------

  local function new_bucket()
    return {
      limit = -1, supply = 0, rate = 0, at = 0, var_supply = 0, covariance = 0, var_rate = 0,
      peak = 0, trend = 0, refill_at = 0, longest_reset = 0,
    }
  end

  local function read_bucket(v, i)
    return {
      limit = v[i], supply = v[i + 1], rate = v[i + 2], at = v[i + 3], var_supply = v[i + 4], covariance = v[i + 5],
      var_rate = v[i + 6], peak = v[i + 7], trend = v[i + 8], refill_at = v[i + 9], longest_reset = v[i + 10],
    }
  end

  local function load(key, now)
    local bytes = redis.call('GET', key)
    if bytes and #bytes == 304 then
      local v = { struct.unpack('<dddddddddddddddddddddddddddddddddddddd', bytes) }
      if v[1] == 1 then
        return {
          first = v[2], issued = v[3], granted_at = v[4], read_at = v[5], unconfirmed = v[6], blocked_until = v[7],
          blocked_ticket = v[8], strikes = v[9], asked = v[10], asked_at = v[11], probes = v[12], headerless = v[13],
          pace_at = v[14], blind_at = v[15], send_rate = v[16], tenant = read_bucket(v, 17), policy = read_bucket(v, 28),
        }
      end
    end
    -- Tickets start at the clock, so that those of a lost state are lower and known as strangers.
    return {
      first = now, issued = now, granted_at = 0, read_at = 0, unconfirmed = 0, blocked_until = 0,
      blocked_ticket = 0, strikes = 0, asked = 0, asked_at = now, probes = 0, headerless = 0,
      pace_at = 0, blind_at = 0, send_rate = 0, tenant = new_bucket(), policy = new_bucket(),
    }
  end

  local function save(key, s)
    local t, p = s.tenant, s.policy
    local bytes = struct.pack('<dddddddddddddddddddddddddddddddddddddd',
      1, s.first, s.issued, s.granted_at, s.read_at, s.unconfirmed, s.blocked_until,
      s.blocked_ticket, s.strikes, s.asked, s.asked_at, s.probes, s.headerless,
      s.pace_at, s.blind_at, s.send_rate,
      t.limit, t.supply, t.rate, t.at, t.var_supply, t.covariance, t.var_rate, t.peak, t.trend, t.refill_at, t.longest_reset,
      p.limit, p.supply, p.rate, p.at, p.var_supply, p.covariance, p.var_rate, p.peak, p.trend, p.refill_at, p.longest_reset)
    redis.call('SET', key, bytes, 'PX', '604800000') -- a week without a permit: the next start is cold
  end

  -- The observer: a Kalman filter of the supply and its rate -------------------------------------------------------

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
    local dt = (at - bucket.at) / SECOND
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
  local function correct(bucket, sample, lag, dt, send_rate)
    local noise = 0.1 + (0.03 * send_rate) ^ 2 + 0.5 * capability(bucket) * lag
    local p_supply = bucket.var_supply - lag * bucket.covariance
    local p_rate = bucket.covariance - lag * bucket.var_rate
    local spread = p_supply - lag * p_rate + noise
    local surprise = sample - (bucket.supply - lag * bucket.rate)
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

  -- A full bucket loses what flows in: the sample tells the level, and of the rate only that it was higher than thought.
  local function sample_full(bucket, sample, at)
    if at < bucket.at then return end
    local dt = max(0.1, (at - bucket.at) / SECOND)
    local surprise = sample - bucket.supply - bucket.rate * dt
    if surprise > 2 then bucket.var_rate = bucket.var_rate + (surprise / dt) ^ 2 end
    bucket.supply, bucket.at, bucket.var_supply = sample, at, 1
  end

  local function sample_bucket(bucket, limit, remaining, ticket, at, refused, rate, spread, send_rate)
    local sample = remaining + ticket
    if bucket.limit < 1 then
      bucket.limit, bucket.supply, bucket.at, bucket.longest_reset = limit, sample, at, 0
      bucket.rate, bucket.trend, bucket.peak = rate, rate, rate
      bucket.var_supply, bucket.covariance, bucket.var_rate = 1, 0, spread * spread
    elseif bucket.limit ~= limit then
      -- Another plan: the level is known at once, the rate is found again.
      bucket.limit, bucket.supply, bucket.at = limit, sample, at
      bucket.var_supply, bucket.covariance = 1, 0
      bucket.var_rate = bucket.var_rate + capability(bucket) ^ 2
    else
      -- The server took nothing for a refused ticket: the supply is one more than the tickets say, and no faster.
      if refused then bucket.supply = bucket.supply + 1 end
      if limit >= 4 and remaining >= limit - 1 then return sample_full(bucket, sample, at) end
      local lag = max(0, bucket.at - at) / SECOND
      local dt = advance(bucket, at)
      correct(bucket, sample, lag, dt, send_rate)
      follow_trend(bucket, dt)
    end
  end

  -- Our own recent rate.
  local function sending(s, now)
    return s.send_rate * max(0, 1 - max(0, now - s.granted_at) / (0.3 * SECOND))
  end

  local function sample_tenant(s, now, ticket, at, refused, limit, remaining, reset_in)
    local tenant = s.tenant
    local newest, announced = at >= tenant.at, said(reset_in) and remaining < limit
    -- A bucket that needs seconds for one request shows its rate in Reset; a fast one has to be watched.
    local rate, spread = 0, limit / 2
    if announced and reset_in > 2 then rate, spread = 1 / reset_in, 1 / reset_in end
    sample_bucket(tenant, limit, remaining, ticket, at, refused, rate, spread, sending(s, at))
    if newest then
      if announced then tenant.longest_reset = max(tenant.longest_reset, reset_in) end
      tenant.refill_at = announced and now + reset_in * SECOND or 0
    end
  end

  local function sample_policy(s, ticket, at, refused, quota, interval, remaining)
    if said(quota) then
      local rate = quota / max(interval, 1)
      sample_bucket(s.policy, quota, remaining, ticket, at, refused, rate, 0.3 * rate, sending(s, at))
    elseif not refused then
      s.policy.limit = -1
    end
  end

  local function block(s, now, ticket, remaining, reset_in, retry_after, interval, policy_remaining)
    if ticket > s.blocked_ticket then
      -- Refusals of requests that were under way together are one strike.
      s.strikes, s.blocked_ticket = s.strikes + 1, s.issued
    end
    local hint = said(retry_after) and retry_after or 0
    -- Reset speaks of the tenant's bucket; while that holds something, another bucket has refused.
    if said(reset_in) and not (said(remaining) and remaining > 0) then hint = max(hint, reset_in) end
    if hint <= 0 and said(policy_remaining) and policy_remaining <= 0 then hint = interval end
    if hint <= 0 then hint = min(60, 2 ^ (s.strikes - 1)) end
    local jitter = 0.25 * (now % 997) / 997
    s.blocked_until = max(s.blocked_until, now + (max(0.5, hint) + jitter) * SECOND)
  end

  local function take_reading(s, now, readings, offset)
    local ticket, age, was_refused, limit, remaining, reset_in, retry_after, quota, interval, policy_remaining =
      struct.unpack('<dddddddddd', readings, offset)
    local refused, at = was_refused == 1, now - max(0, age)
    local known = ticket > s.first and ticket <= s.issued
    if not known then ticket = s.issued end
    if not (said(limit) and said(remaining)) then
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
      block(s, now, ticket, remaining, reset_in, retry_after, interval, policy_remaining)
    elseif known and ticket > s.blocked_ticket then
      s.strikes = 0
    end
  end

  local function take_readings(s, now, readings)
    for offset = 1, #readings, 80 do take_reading(s, now, readings, offset) end
  end

  -- The rule -------------------------------------------------------------------------------------------------------

  -- The level once everything under way has arrived: now, and as it was at the last reading.
  local function level(s, bucket, now)
    local dt = max(0, now - bucket.at) / SECOND
    if bucket.rate < 0 then dt = min(dt, 1) end
    local held = bucket.supply - s.issued
    local predicted = held + bucket.rate * dt
    if bucket.refill_at > 0 and now >= bucket.refill_at then predicted = max(predicted, held + 1) end
    if predicted > bucket.limit then
      bucket.supply = bucket.supply - (predicted - bucket.limit)
      predicted = bucket.limit
    end
    return max(0, predicted), held
  end

  -- What bulk keeps clear of beside the reserve: what others may take before we hear of it, and our own error.
  local function margin(bucket, now)
    local cushion = min(0.7 * sqrt(bucket.peak), 0.2 * bucket.limit)
    if bucket.refill_at > 0 and now >= bucket.refill_at then return cushion, 0 end
    local dt = max(0, now - bucket.at) / SECOND
    local variance = bucket.var_supply + dt * (2 * bucket.covariance + dt * bucket.var_rate + 0.5 * bucket.peak)
    return cushion, min(0.5 * sqrt(max(0, variance)), 0.25 * bucket.limit)
  end

  -- When to look although the estimate says no: if everybody else had stopped at the last reading, the bucket would be
  -- back above its reserve by then. A look that finds nothing makes the next one wait longer.
  local function probe_time(s, bucket, deficit)
    local backoff = 2 ^ s.probes
    local pause = max(0.2, deficit / capability(bucket))
    pause = min(pause * backoff, max(pause, 1), 2 * min(4, backoff) * token_time(bucket))
    local probe_at = max(bucket.at, s.granted_at) + pause * SECOND
    if bucket.refill_at > 0 and s.probes < 3 then
      probe_at = min(probe_at, max(bucket.refill_at, s.granted_at + 0.2 * SECOND))
    end
    return probe_at
  end

  -- How many the bucket gives above the reserve, when it is worth asking again, and when to look in any case.
  local function allowance(s, bucket, now, share)
    if bucket.limit < 0 then return huge, 0, 0 end
    if bucket.limit == 0 then -- a policy of nothing blocks its client; look whether it still stands
      local probe_at = s.granted_at + 60 * SECOND
      return 0, probe_at, probe_at
    end
    local target, error, slack = floor(bucket.limit * share + 1e-6), 0, 0.05
    if target >= 1 then
      local cushion
      cushion, error = margin(bucket, now)
      -- Remaining is a whole number: half a request is within its error. Near zero it would be a guess.
      target, slack = target + cushion, 0.5
    end
    local predicted, held = level(s, bucket, now)
    local count = floor(predicted - error - target + slack)
    if count >= 1 then return count, now, now end
    local needed = target + 1 - slack
    local probe_at = probe_time(s, bucket, needed - held)
    local ready = probe_at
    if bucket.rate > 0 then ready = min(ready, now + (needed + error - predicted) / bucket.rate * SECOND) end
    if bucket.refill_at > now and held + 1 >= needed then ready = min(ready, bucket.refill_at) end
    return 0, ready, probe_at
  end

  -- A fixed rate, as the generic cell rate algorithm: how many now, when the first is due, and the time between two.
  local function pace(at, now, rate)
    local gap = SECOND / rate
    local due = max(at, now - max(gap, 0.1 * SECOND) + gap)
    return max(0, floor((now - due) / gap) + 1), due, gap
  end

  -- How many requests may find out about a quota that nobody knows, or knows no longer.
  local function cold_allowance(s, now, cold_permits)
    local stale = max(2 * SECOND, 2 * (s.read_at - s.tenant.at))
    if s.tenant.limit >= 0 and now - s.read_at <= stale then return huge end
    -- Permits without an answer for so long are lost with their worker.
    if now - s.granted_at > 5 * SECOND then s.unconfirmed = min(s.unconfirmed, cold_permits - 1) end
    return cold_permits - s.unconfirmed
  end

  local function bucket_allowance(s, now, share)
    local tenant, tenant_ready, tenant_probe = allowance(s, s.tenant, now, share)
    local policy, policy_ready, policy_probe = allowance(s, s.policy, now, share)
    local count = min(tenant, policy)
    if count >= 1 then
      s.probes = 0
    elseif now >= max(tenant_probe, policy_probe) then
      s.probes = min(10, s.probes + 1)
      count = 1
    end
    return count, max(tenant_ready, policy_ready)
  end

  local function decide(s, now, bulk, want, config)
    local reserve_share, fallback_rate, max_rate, cold_permits = struct.unpack('<dddd', config)
    if now < s.blocked_until then return 0, s.blocked_until, 'blocked' end
    local count, due, gap, allowed, ready = want, nil, nil, nil, nil
    if said(max_rate) then
      allowed, due, gap = pace(s.pace_at, now, max_rate)
      if allowed < 1 then return 0, due, 'ceiling' end
      count = min(count, allowed)
    end
    if s.tenant.limit < 0 and s.headerless > 0 then
      local blind_due, blind_gap
      allowed, blind_due, blind_gap = pace(s.blind_at, now, fallback_rate)
      if allowed < 1 then return 0, blind_due, 'blind' end
      count = min(count, allowed)
      s.blind_at = blind_due + blind_gap * count
    else
      count = min(count, cold_allowance(s, now, cold_permits))
      if count < 1 then return 0, min(now + 0.1 * SECOND, s.granted_at + 5 * SECOND + 1), 'cold' end
      allowed, ready = bucket_allowance(s, now, bulk and reserve_share or 0)
      if allowed < 1 then return 0, ready, 'level' end
      count = min(count, allowed)
    end
    if due then s.pace_at = due + gap * count end
    return count
  end

  -- Seconds that a waiter may sleep without missing much if everybody else stopped, and the rate there is to wait for.
  local function prospects(bucket)
    if bucket.limit < 1 then return huge, huge end
    local possible = bucket.peak > 0 and capability(bucket) or bucket.limit / token_time(bucket)
    local nap = min(0.15 * bucket.limit / possible, token_time(bucket))
    return max(0.05, nap), max(bucket.rate, 0.1 * capability(bucket))
  end

  -- Waiters are told different times, so that they do not come back for the same permit; and longer ones, the more ask.
  local function patience(s, now, ready, reason)
    local nap, rate = prospects(s.tenant)
    local policy_nap, policy_rate = prospects(s.policy)
    nap, rate = min(nap, policy_nap, 60), max(1, min(rate, policy_rate, 1000))
    s.asked = max(0, s.asked - 3 * max(8, rate) * (now - s.asked_at) / SECOND) + 1
    s.asked_at = now
    local wait = max(0, ready - now) + min(1, (s.asked - 1) / rate) * SECOND
    if reason == 'level' then wait = min(wait, nap * (1 + s.asked / 25) * SECOND) end
    return max(2000, floor(wait))
  end

  -- What callers use -----------------------------------------------------------------------------------------------

  function limiter_now_us()
    local time = redis.call('TIME')
    return time[1] * SECOND + time[2]
  end

  -- Takes in `readings` and asks for `want` permits in a lane ('interactive' or 'bulk'). A ceiling is a key and a rate.
  -- Gives granted, first ticket, wait in microseconds, reason.
  function limiter_acquire(key, now, lane, want, config, readings, ceiling_key, ceiling_rate)
    local s = load(key, now)
    if readings and #readings > 0 then take_readings(s, now, readings) end
    local count, ready, reason, due, gap = 0, nil, 'ceiling', nil, nil
    if ceiling_key then
      local allowed
      allowed, due, gap = pace(tonumber(redis.call('GET', ceiling_key) or 0), now, ceiling_rate)
      want, ready = min(want, allowed), due
    end
    if want >= 1 then count, ready, reason = decide(s, now, lane == 'bulk', want, config) end
    if count < 1 then
      local wait = patience(s, now, ready, reason)
      save(key, s)
      return 0, 0, wait, reason
    end
    local first = s.issued + 1
    s.send_rate = sending(s, now) + count / 0.15 -- a window of 0.3 s that empties evenly
    s.issued, s.granted_at, s.unconfirmed = s.issued + count, now, s.unconfirmed + count
    save(key, s)
    if ceiling_key then redis.call('SET', ceiling_key, string.format('%.0f', due + gap * count), 'PX', '604800000') end
    return count, first, 0, ''
  end

  -- Takes in `readings` alone.
  function limiter_observe(key, now, readings)
    local s = load(key, now)
    take_readings(s, now, readings)
    save(key, s)
  end

  -- The model as it stands, for people: a flat list of names and values, or nil if the key was never used.
  function limiter_describe(key, now)
    if redis.call('EXISTS', key) == 0 then return nil end
    local s = load(key, now)
    local described = {}
    local function add(name, value)
      described[#described + 1] = name
      described[#described + 1] = string.format('%.17g', value)
    end
    add('issued', s.issued - s.first)
    add('blocked_for_us', max(0, s.blocked_until - now))
    add('reading_age_us', s.read_at > 0 and now - s.read_at or -1)
    add('headerless', s.headerless)
    for name, bucket in pairs({ tenant = s.tenant, policy = s.policy }) do
      add(name .. '_limit', bucket.limit)
      add(name .. '_level', bucket.limit >= 0 and level(s, bucket, now) or -1)
      add(name .. '_rate', bucket.trend)
      add(name .. '_peak', bucket.peak)
      add(name .. '_instant_rate', bucket.rate)
    end
    return described
  end
end
