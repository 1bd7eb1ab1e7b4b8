-- The shared limiter: an observer of the remote token buckets, and the rule that spends what they hold.
-- Plain local functions without a clock of their own, so that a larger script can carry them and a simulation can drive them.
-- Why it is built this way: docs/explanation/pacing.md.
--
-- Times are microseconds of the caller's one clock, rates are requests a second, NaN means "not said".
-- Every permit has a ticket: the running count of permits. A response's Remaining plus its ticket is a sample of the
-- bucket's supply curve (what it ever held plus what flowed in, less what others took), whatever else is in flight.

local limiter_acquire, limiter_observe, limiter_describe, limiter_now_us

do
  local SECOND = 1e6
  local FORGET_MS = '604800000' -- a week without a permit: the next start is cold

  -- One string of little-endian doubles a key. The slots:
  local VERSION, FIRST, ISSUED, LAST_GRANT, LAST_READING, UNCONFIRMED = 1, 2, 3, 4, 5, 6
  local BLOCKED_UNTIL, BLOCKED_TICKET, STRIKES, DENIED, PROBES, HEADERLESS = 7, 8, 9, 10, 11, 12
  local PACE_AT, BLIND_AT, SEND_RATE, DENIED_AT = 13, 14, 15, 16
  local TENANT, POLICY, BUCKET_SLOTS = 16, 27, 11 -- the slot before each bucket's first
  local LIMIT, SUPPLY, RATE, AT, VAR_SUPPLY, COVARIANCE, VAR_RATE = 1, 2, 3, 4, 5, 6, 7
  local PEAK, TREND, REFILL_AT, LONGEST_RESET = 8, 9, 10, 11
  local SLOTS = POLICY + BUCKET_SLOTS
  local STATE = '<' .. string.rep('d', SLOTS)
  local STATE_BYTES = 8 * SLOTS
  local LAYOUT = 1

  local READING, READING_BYTES = '<' .. string.rep('d', 10), 80
  local SETTINGS = '<' .. string.rep('d', 4)

  local STALE = 2 * SECOND         -- older knowledge is confirmed by a few requests before it is spent
  local LOST = 5 * SECOND          -- a permit without an answer for this long no longer holds up a cold start
  local SLOWEST_REFILL = 1 / 3600  -- of the limit a second: nobody documents a bucket slower than its size an hour
  local AGILITY = 0.25             -- how far the rate may wander in its own time, as a share of itself, squared
  local JITTER = 0.03              -- seconds by which requests overtake each other on the way
  local DOUBT = 0.3
  local HURRY = 0.15
  local ASKING = 3
  local CAUTION = 0.5
  local CUSHION = 0.7
  local SENDING_WINDOW = 0.3       -- seconds over which our own rate is averaged
  local HEADERLESS_BLIND = 10      -- so many answers in a row without headers: the headers are gone
  local BLOCK_FLOOR, BLOCK_CEILING = 0.5, 60
  local PROBE_FLOOR = 0.2 * SECOND
  local PROBE_CEILING = SECOND

  local floor, max, min, sqrt = math.floor, math.max, math.min, math.sqrt

  local function said(value)
    return value == value
  end

  -- State -----------------------------------------------------------------------------------------------------------

  local function fresh(now)
    local state = {}
    for slot = 1, SLOTS do state[slot] = 0 end
    state[VERSION] = LAYOUT
    -- Tickets start at the clock, so that those of a lost state are lower and known as strangers.
    state[FIRST], state[ISSUED] = now, now
    state[TENANT + LIMIT], state[POLICY + LIMIT] = -1, -1
    return state
  end

  local function load(key, now)
    local bytes = redis.call('GET', key)
    if bytes and #bytes == STATE_BYTES then
      local state = { struct.unpack(STATE, bytes) }
      if state[VERSION] == LAYOUT then return state end
    end
    return fresh(now)
  end

  local function save(key, state)
    redis.call('SET', key, struct.pack(STATE, unpack(state, 1, SLOTS)), 'PX', FORGET_MS)
  end

  -- The observer: a Kalman filter of supply and its rate -------------------------------------------------------------

  -- Seconds in which at least one request flows back: what Reset has shown, or else the slowest bucket of this size.
  local function token_time(state, bucket)
    local longest = state[bucket + LONGEST_RESET]
    return longest > 0 and max(1, longest) or 1 / (state[bucket + LIMIT] * SLOWEST_REFILL)
  end

  -- The rate that this bucket is capable of, as far as it is known.
  local function scale(state, bucket)
    return max(state[bucket + PEAK], 1 / token_time(state, bucket))
  end

  local function begin_bucket(state, bucket, limit, supply, at, rate, spread)
    state[bucket + LIMIT], state[bucket + SUPPLY], state[bucket + AT] = limit, supply, at
    state[bucket + RATE], state[bucket + TREND], state[bucket + PEAK] = rate, rate, rate
    state[bucket + LONGEST_RESET] = 0
    state[bucket + VAR_SUPPLY], state[bucket + COVARIANCE], state[bucket + VAR_RATE] = 1, 0, spread * spread
  end

  -- Another plan: the level is known at once, the rate is doubted and found again.
  local function change_limit(state, bucket, limit, supply, at)
    state[bucket + LIMIT], state[bucket + SUPPLY], state[bucket + AT] = limit, supply, at
    state[bucket + VAR_SUPPLY], state[bucket + COVARIANCE] = 1, 0
    state[bucket + VAR_RATE] = state[bucket + VAR_RATE] + scale(state, bucket) ^ 2
  end

  local function advance(state, bucket, at)
    local dt = (at - state[bucket + AT]) / SECOND
    if dt <= 0 then return 0 end
    local typical = scale(state, bucket)
    typical = max(typical, math.abs(state[bucket + RATE]))
    local wander = AGILITY * typical * typical * min(1, typical / 5)
    local covariance, variance = state[bucket + COVARIANCE], state[bucket + VAR_RATE]
    state[bucket + SUPPLY] = state[bucket + SUPPLY] + state[bucket + RATE] * dt
    state[bucket + VAR_SUPPLY] = state[bucket + VAR_SUPPLY] + dt * (2 * covariance + dt * variance)
      + 0.5 * typical * dt + wander * dt * dt * dt / 3
    state[bucket + COVARIANCE] = covariance + dt * variance + wander * dt * dt / 2
    state[bucket + VAR_RATE] = variance + wander * dt
    state[bucket + AT] = at
    return dt
  end

  local function sending(state, now)
    local dt = max(0, now - state[LAST_GRANT]) / SECOND
    return state[SEND_RATE] * max(0, 1 - dt / SENDING_WINDOW)
  end

  local function correct(state, bucket, sample, lag, dt)
    local typical = scale(state, bucket)
    local noise = 0.1 + (JITTER * sending(state, state[bucket + AT])) ^ 2 + 0.5 * typical * lag
    local p_supply = state[bucket + VAR_SUPPLY] - lag * state[bucket + COVARIANCE]
    local p_rate = state[bucket + COVARIANCE] - lag * state[bucket + VAR_RATE]
    local spread = p_supply - lag * p_rate + noise
    local surprise = sample - (state[bucket + SUPPLY] - lag * state[bucket + RATE])
    if surprise * surprise > 16 * spread and lag < 0.5 then
      -- Not noise: the world changed. Believe the sample, and doubt the rate.
      state[bucket + VAR_SUPPLY] = state[bucket + VAR_SUPPLY] + surprise * surprise
      local doubt = (surprise / max(dt, DOUBT)) ^ 2
      state[bucket + VAR_RATE] = state[bucket + VAR_RATE] + doubt
      p_supply = p_supply + surprise * surprise
      p_rate = p_rate - lag * doubt
      spread = p_supply - lag * p_rate + noise
    end
    local gain_supply, gain_rate = p_supply / spread, p_rate / spread
    state[bucket + SUPPLY] = state[bucket + SUPPLY] + gain_supply * surprise
    local bound = 2 * max(state[bucket + LIMIT], typical)
    state[bucket + RATE] = max(-bound, min(bound, state[bucket + RATE] + gain_rate * surprise))
    state[bucket + VAR_SUPPLY] = max(1e-9, state[bucket + VAR_SUPPLY] - gain_supply * p_supply)
    state[bucket + COVARIANCE] = state[bucket + COVARIANCE] - gain_supply * p_rate
    state[bucket + VAR_RATE] = max(1e-12, state[bucket + VAR_RATE] - gain_rate * p_rate)
  end

  local function follow_trend(state, bucket, dt)
    local window = max(2, 5 / scale(state, bucket))
    local share = dt / (window + dt)
    state[bucket + TREND] = state[bucket + TREND] + share * (state[bucket + RATE] - state[bucket + TREND])
    state[bucket + PEAK] = state[bucket + PEAK] * (1 - dt / (300 * window + dt))
    if state[bucket + VAR_RATE] < 0.25 * state[bucket + TREND] ^ 2 then
      state[bucket + PEAK] = max(state[bucket + PEAK], state[bucket + TREND])
    end
  end

  local function sample_bucket(state, bucket, limit, remaining, ticket, at, rate, spread)
    local supply = remaining + ticket
    if state[bucket + LIMIT] < 1 then
      begin_bucket(state, bucket, limit, supply, at, rate, spread)
      return
    elseif state[bucket + LIMIT] ~= limit then
      change_limit(state, bucket, limit, supply, at)
      return
    end
    local newest = at >= state[bucket + AT]
    if limit >= 4 and remaining >= limit - 1 then
      -- Full: what flowed in was lost, so the sample tells the level and nothing of the rate.
      if newest then
        local dt = max(0.1, (at - state[bucket + AT]) / SECOND)
        local surprise = supply - state[bucket + SUPPLY] - state[bucket + RATE] * dt
        if surprise > 2 then state[bucket + VAR_RATE] = state[bucket + VAR_RATE] + (surprise / dt) ^ 2 end
        state[bucket + SUPPLY], state[bucket + AT], state[bucket + VAR_SUPPLY] = supply, at, 1
      end
      return
    end
    local lag = max(0, state[bucket + AT] - at) / SECOND
    local dt = advance(state, bucket, at)
    correct(state, bucket, supply, lag, dt)
    follow_trend(state, bucket, dt)
  end

  local function sample_tenant(state, now, ticket, at, limit, remaining, reset_in, refused)
    local slow = said(reset_in) and reset_in > 2 and remaining < limit
    local rate, spread = 0, limit / 2
    if slow then rate, spread = 1 / reset_in, 1 / reset_in end
    if refused == 1 then
      -- The server took nothing for this ticket: what was ever there is one more than the ticket count says.
      state[TENANT + SUPPLY] = state[TENANT + SUPPLY] + 1
    end
    local newest = at >= state[TENANT + AT]
    sample_bucket(state, TENANT, limit, remaining, ticket, at, rate, spread)
    if newest then
      if said(reset_in) and remaining < limit then
        state[TENANT + LONGEST_RESET] = max(state[TENANT + LONGEST_RESET], reset_in)
      end
      state[TENANT + REFILL_AT] = (said(reset_in) and remaining < limit) and now + max(0, reset_in) * SECOND or 0
    end
  end

  local function sample_policy(state, ticket, at, quota, interval, remaining, refused)
    if not said(quota) then
      state[POLICY + LIMIT] = -1
      return
    end
    local rate = quota / max(interval, 1)
    if refused == 1 then state[POLICY + SUPPLY] = state[POLICY + SUPPLY] + 1 end
    sample_bucket(state, POLICY, quota, remaining, ticket, at, rate, 0.3 * rate)
  end

  local function block(state, now, ticket, remaining, reset_in, retry_after, interval, policy_remaining)
    if ticket > state[BLOCKED_TICKET] then
      -- Refusals of requests that were under way together are one strike.
      state[STRIKES], state[BLOCKED_TICKET] = state[STRIKES] + 1, state[ISSUED]
    end
    local hint = said(retry_after) and retry_after or 0
    if said(reset_in) and not (said(remaining) and remaining > 0) then hint = max(hint, reset_in) end
    if hint <= 0 and said(policy_remaining) and policy_remaining <= 0 then hint = interval end
    if hint <= 0 then hint = min(BLOCK_CEILING, 2 ^ (state[STRIKES] - 1)) end
    local spread = (now % 997) / 997
    hint = max(BLOCK_FLOOR, hint) + 0.25 * spread
    state[BLOCKED_UNTIL] = max(state[BLOCKED_UNTIL], now + hint * SECOND)
  end

  local function take_reading(state, now, bytes, offset)
    local ticket, age, refused, limit, remaining, reset_in, retry_after, quota, interval, policy_remaining =
      struct.unpack(READING, bytes, offset)
    local known = ticket > state[FIRST] and ticket <= state[ISSUED]
    local at = now - max(0, age)
    if not known then ticket = state[ISSUED] end
    if said(limit) and said(remaining) then
      state[HEADERLESS] = 0
      if known then
        state[LAST_READING], state[UNCONFIRMED] = now, 0
        sample_tenant(state, now, ticket, at, limit, remaining, reset_in, refused)
        if said(quota) or refused == 0 then sample_policy(state, ticket, at, quota, interval, policy_remaining, refused) end
      end
    else
      state[HEADERLESS] = state[HEADERLESS] + 1
      if state[HEADERLESS] >= HEADERLESS_BLIND then state[TENANT + LIMIT], state[POLICY + LIMIT] = -1, -1 end
    end
    if refused == 1 then
      block(state, now, ticket, remaining, reset_in, retry_after, interval, policy_remaining)
    elseif ticket > state[BLOCKED_TICKET] then
      state[STRIKES] = 0
    end
  end

  local function take_readings(state, now, readings)
    for offset = 1, #readings, READING_BYTES do take_reading(state, now, readings, offset) end
  end

  -- The rule --------------------------------------------------------------------------------------------------------

  local function level(state, bucket, now)
    local dt = max(0, now - state[bucket + AT]) / SECOND
    local rate = state[bucket + RATE]
    if rate < 0 then dt = min(dt, 1) end
    local held = state[bucket + SUPPLY] - state[ISSUED]
    local predicted = held + rate * dt
    local refill_at = state[bucket + REFILL_AT]
    if refill_at > 0 and now >= refill_at then predicted = max(predicted, held + 1) end
    local limit = state[bucket + LIMIT]
    if predicted > limit then
      state[bucket + SUPPLY] = state[bucket + SUPPLY] - (predicted - limit)
      predicted = limit
    end
    return max(0, predicted), held
  end

  -- How many the bucket can give above `floor_level`, and when it is worth asking again.
  local function allowance(state, bucket, now, share)
    local limit = state[bucket + LIMIT]
    if limit < 0 then return math.huge, 0 end
    if limit == 0 then return 0, now + 60 * SECOND, now + 60 * SECOND end
    local reserve = floor(limit * share + 1e-6)
    if share > 0 and reserve >= 1 then reserve = reserve + min(CUSHION * sqrt(state[bucket + PEAK]), 0.2 * limit) end
    local predicted, held = level(state, bucket, now)
    if share > 0 and reserve >= 1 and not (state[bucket + REFILL_AT] > 0 and now >= state[bucket + REFILL_AT]) then
      local dt = max(0, now - state[bucket + AT]) / SECOND
      local var = state[bucket + VAR_SUPPLY] + 2 * dt * state[bucket + COVARIANCE] + dt * dt * state[bucket + VAR_RATE] + 0.5 * dt * state[bucket + PEAK]
      predicted = predicted - min(CAUTION * sqrt(max(0, var)), 0.15 * limit)
    end
    -- Remaining is a whole number, so half a request is within its error; but never guess at an empty bucket.
    local slack = reserve >= 1 and 0.5 or 0.05
    local count = floor(predicted - reserve + slack)
    if count >= 1 then return count, now end
    local ready = math.huge
    local rate = state[bucket + RATE]
    if rate > 0 then ready = now + (reserve + 1 - slack - predicted) / rate * SECOND end
    local refill_at = state[bucket + REFILL_AT]
    if refill_at > now and held + 1 >= reserve + 1 - slack then ready = min(ready, refill_at) end
    -- If everybody else had stopped at the last reading, the bucket would be back above its reserve by then: look.
    local backoff = 2 ^ state[PROBES]
    local pause = max(PROBE_FLOOR, (reserve + 1 - slack - held) / scale(state, bucket) * SECOND)
    pause = min(pause * backoff, max(pause, PROBE_CEILING))
    pause = min(pause, 2 * min(4, backoff) * token_time(state, bucket) * SECOND)
    local probe_at = max(state[bucket + AT], state[LAST_GRANT]) + pause
    if state[PROBES] < 3 and refill_at > 0 then probe_at = min(probe_at, max(refill_at, state[LAST_GRANT] + PROBE_FLOOR)) end
    return 0, min(ready, probe_at), probe_at
  end

  -- A fixed rate, as the generic cell rate algorithm: how many now, and when the next.
  local function pace(at, now, rate)
    local gap = SECOND / rate
    local slack = max(gap, 0.1 * SECOND)
    local due = max(at, now - slack + gap)
    local count = floor((now - due) / gap) + 1
    return max(0, count), due, gap
  end

  local function grant(state, now, count)
    local first = state[ISSUED] + 1
    state[ISSUED] = state[ISSUED] + count
    state[SEND_RATE] = sending(state, now) + count / SENDING_WINDOW * 2
    state[LAST_GRANT] = now
    state[UNCONFIRMED] = state[UNCONFIRMED] + count
    return count, first
  end

  local function decide(state, now, bulk, want, config)
    local reserve_share, fallback_rate, max_rate, cold_permits = struct.unpack(SETTINGS, config)
    if now < state[BLOCKED_UNTIL] then return 0, state[BLOCKED_UNTIL], 'blocked' end
    local count = want
    local pace_due, pace_gap
    if said(max_rate) then
      local allowed
      allowed, pace_due, pace_gap = pace(state[PACE_AT], now, max_rate)
      if allowed < 1 then return 0, pace_due, 'ceiling' end
      count = min(count, allowed)
    end
    local blind = state[TENANT + LIMIT] < 0 and state[HEADERLESS] > 0
    if blind then
      local allowed, due, gap = pace(state[BLIND_AT], now, fallback_rate)
      if allowed < 1 then return 0, due, 'blind' end
      count = min(count, allowed)
      state[BLIND_AT] = due + gap * count
    else
      if state[TENANT + LIMIT] < 0 or now - state[LAST_READING] > STALE then
        if now - state[LAST_GRANT] > LOST then state[UNCONFIRMED] = min(state[UNCONFIRMED], cold_permits - 1) end
        local allowed = cold_permits - state[UNCONFIRMED]
        if allowed < 1 then return 0, min(now + 0.1 * SECOND, state[LAST_GRANT] + LOST + 1), 'cold' end
        count = min(count, allowed)
      end
      local share = bulk and reserve_share or 0
      local tenant, tenant_ready, tenant_probe = allowance(state, TENANT, now, share)
      local policy, policy_ready, policy_probe = allowance(state, POLICY, now, share)
      count = min(count, tenant, policy)
      if count >= 1 then
        state[PROBES] = 0
      elseif now >= (tenant_probe or 0) and now >= (policy_probe or 0) then
        count = 1
        state[PROBES] = min(10, state[PROBES] + 1)
      else
        return 0, max(tenant_ready, policy_ready), 'level'
      end
    end
    if pace_due then state[PACE_AT] = pace_due + pace_gap * count end
    return count
  end

  -- Seconds that a waiter may sleep without missing much, should everybody else stop, and the rate of what there is to wait for.
  local function prospects(state, bucket)
    if state[bucket + LIMIT] < 1 then return math.huge, math.huge end
    local typical = scale(state, bucket)
    local refill = state[bucket + PEAK] > 0 and typical or state[bucket + LIMIT] / token_time(state, bucket)
    local nap = min(HURRY * state[bucket + LIMIT] / refill, token_time(state, bucket))
    return max(0.05, nap), max(state[bucket + RATE], 0.1 * typical)
  end

  -- Waiters are told different times, so that they do not all come back for the same permit; and longer ones, the more of them ask.
  local function patience(state, now, ready, reason)
    local wait = max(0, ready - now)
    local nap, rate = prospects(state, TENANT)
    local policy_nap, policy_rate = prospects(state, POLICY)
    nap, rate = min(nap, policy_nap, 60), min(rate, policy_rate, 1000)
    local calm = ASKING * max(8, rate) * (now - state[DENIED_AT]) / SECOND
    state[DENIED], state[DENIED_AT] = max(0, state[DENIED] - calm) + 1, now
    wait = wait + min(SECOND, (state[DENIED] - 1) / max(1, rate) * SECOND)
    if reason == 'level' then wait = min(wait, nap * (1 + state[DENIED] / 25) * SECOND) end
    return max(2000, floor(wait))
  end

  -- Public ----------------------------------------------------------------------------------------------------------

  function limiter_now_us()
    local time = redis.call('TIME')
    return tonumber(time[1]) * SECOND + tonumber(time[2])
  end

  -- Takes in `readings` and asks for `want` permits. Gives granted, first ticket, wait in microseconds, reason.
  function limiter_acquire(key, now, lane, want, config, readings, ceiling_key, ceiling_rate)
    local state = load(key, now)
    if readings and #readings > 0 then take_readings(state, now, readings) end
    local due, gap
    if ceiling_key then
      local allowed
      allowed, due, gap = pace(tonumber(redis.call('GET', ceiling_key) or 0), now, ceiling_rate)
      if allowed < 1 then
        save(key, state)
        return 0, 0, patience(state, now, due, 'ceiling'), 'ceiling'
      end
      want = min(want, allowed)
    end
    local count, ready, reason = decide(state, now, lane == 'bulk', want, config)
    if count < 1 then
      local wait = patience(state, now, ready, reason)
      save(key, state)
      return 0, 0, wait, reason
    end
    local granted, first = grant(state, now, count)
    save(key, state)
    if ceiling_key then redis.call('SET', ceiling_key, string.format('%.0f', due + gap * count), 'PX', FORGET_MS) end
    return granted, first, 0, ''
  end

  -- Takes in `readings` alone.
  function limiter_observe(key, now, readings)
    local state = load(key, now)
    take_readings(state, now, readings)
    save(key, state)
  end

  -- The model as it stands, for people: a flat list of names and values, or nil if the key was never used.
  function limiter_describe(key, now)
    if redis.call('EXISTS', key) == 0 then return nil end
    local state = load(key, now)
    local function text(value) return string.format('%.17g', value) end
    local described = {
      'issued', text(state[ISSUED] - state[FIRST]),
      'blocked_for_us', text(max(0, state[BLOCKED_UNTIL] - now)),
      'reading_age_us', text(state[LAST_READING] > 0 and now - state[LAST_READING] or -1),
      'headerless', text(state[HEADERLESS]),
    }
    for name, bucket in pairs({ tenant = TENANT, policy = POLICY }) do
      local known = state[bucket + LIMIT] >= 0
      local values = {
        limit = state[bucket + LIMIT], level = known and level(state, bucket, now) or -1,
        rate = state[bucket + TREND], peak = state[bucket + PEAK],
        supply = state[bucket + SUPPLY] - state[FIRST], instant_rate = state[bucket + RATE],
      }
      for field, value in pairs(values) do
        described[#described + 1] = name .. '_' .. field
        described[#described + 1] = text(value)
      end
    end
    return described
  end
end
