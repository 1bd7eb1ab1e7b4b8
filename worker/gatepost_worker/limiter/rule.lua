-- Decides how many permits to grant, or how long to wait. The caller passes the time, so other scripts and simulations can use it.

-- Returns the level once all requests in flight have arrived: predicted for now, and at the last reading.
local function level(s, bucket, now)
  local dt = max(0, now - bucket.at) / 1e6
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

-- Returns what bulk leaves in addition to the reserve: for other traffic that no reading shows yet, and for our own error.
local function margin(bucket, now)
  local cushion = min(0.7 * math.sqrt(bucket.peak), 0.2 * bucket.limit)
  if bucket.refill_at > 0 and now >= bucket.refill_at then return cushion, 0 end
  local dt = max(0, now - bucket.at) / 1e6
  local variance = bucket.var_supply + dt * (2 * bucket.covariance + dt * bucket.var_rate + 0.5 * bucket.peak)
  local doubt = bucket.peak > 0 and 0.5 or 1.5 -- standard errors; more while the refill has never been seen
  return cushion, min(doubt * math.sqrt(max(0, variance)), 0.25 * bucket.limit)
end

-- Returns what other traffic may take in the next twenty seconds beyond the refill: 1.5 standard deviations, capped so that the refill
-- still fits. Bulk leaves it, so a sudden burst of logins finds it in the bucket.
local function swing(bucket)
  local room = bucket.limit - max(0.2 * bucket.limit, 2 * math.sqrt(bucket.limit))
  return min(1.5 * math.sqrt(20 * bucket.unrest), room)
end

-- Returns when to probe despite the estimate: if all other traffic had stopped at the last reading, the bucket would exceed its
-- reserve by then. Each probe that finds nothing delays the next.
local function probe_time(s, bucket, deficit)
  local backoff = 2 ^ s.probes
  local pause = max(0.2, deficit / capability(bucket))
  pause = min(pause * backoff, max(pause, 2), 2 * min(4, backoff) * token_time(bucket))
  local probe_at = max(bucket.at, s.granted_at) + pause * 1e6
  if bucket.refill_at > 0 and s.probes < 3 then
    probe_at = min(probe_at, max(bucket.refill_at, s.granted_at + 0.2 * 1e6))
  end
  return probe_at
end

-- Returns how many permits the bucket has above the reserve, when to ask again, and when to probe.
local function allowance(s, bucket, now, share)
  if bucket.limit < 0 then return math.huge, 0, 0 end
  if bucket.limit == 0 then -- a policy of 0 blocks its client; probe whether it still applies
    local probe_at = s.granted_at + 60 * 1e6
    return 0, probe_at, probe_at
  end
  local target, error, slack = math.floor(bucket.limit * share + 1e-6), 0, 0.05
  if target >= 1 then
    local cushion
    cushion, error = margin(bucket, now)
    -- Remaining is a whole number, so half a request is within its error; near zero that would be too much.
    target, slack = max(target + cushion, swing(bucket)), 0.5
  end
  local predicted, held = level(s, bucket, now)
  local count = math.floor(predicted - error - target + slack)
  if count >= 1 then return count, now, now end
  local needed = target + 1 - slack
  local probe_at = probe_time(s, bucket, needed - held)
  local ready = probe_at
  if bucket.rate > 0 then ready = min(ready, now + (needed + error - predicted) / bucket.rate * 1e6) end
  if bucket.refill_at > now and held + 1 >= needed then ready = min(ready, bucket.refill_at) end
  return 0, ready, probe_at
end

-- A fixed rate: one permit per gap. Permits fetched late, because a waiter overslept, are made up for within the longest wait, at a slightly
-- higher catch-up rate: never more than rate + 1 in a second. `at` is the next permit's time by the rate, `soon` by the catch-up rate.
local LONGEST_SPREAD = 1e6 -- of waits, after the permit's time

local function gaps(rate)
  return 1e6 / rate, 1e6 / (rate + min(0.25, 0.05 * rate))
end

local function pace(at, soon, now, rate)
  local gap, closest = gaps(rate)
  at = at > 0 and min(max(at, now - gap - LONGEST_SPREAD), now + gap) or now
  soon = min(max(soon, now - max(0.5 * closest, 5000)), now + closest)
  local due = max(at, soon)
  local count = now < due and 0 or math.floor(min((now - at) / gap, (now - soon) / closest)) + 1
  return count, due, at, soon
end

local function after(count, at, soon, rate)
  local gap, closest = gaps(rate)
  return at + count * gap, soon + count * closest
end

-- Returns how many requests may measure a quota that is unknown, out of date, or answered 429 last.
local function cold_allowance(s, now, cold_permits)
  local stale = max(2 * 1e6, 2 * (s.read_at - s.tenant.at))
  if s.tenant.limit >= 0 and s.strikes == 0 and now - s.read_at <= stale then return math.huge end
  -- Permits unanswered for five seconds were lost with their worker.
  if now - s.granted_at > 5 * 1e6 then s.unconfirmed = min(s.unconfirmed, cold_permits - 1) end
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
  local count, fixed, reason, allowed, ready = want, max_rate == max_rate and max_rate, 'ceiling', nil, nil
  local is_blind = s.tenant.limit < 0 and s.headerless > 0
  if is_blind and not (fixed and fixed < fallback_rate) then fixed, reason = fallback_rate, 'blind' end
  if fixed then
    allowed, ready, s.pace_at, s.pace_soon = pace(s.pace_at, s.pace_soon, now, fixed)
    if allowed < 1 then return 0, ready, reason, fixed end
    count = min(count, allowed)
  end
  if not is_blind then
    count = min(count, cold_allowance(s, now, cold_permits))
    if count < 1 then return 0, min(now + 0.1 * 1e6, s.granted_at + 5 * 1e6 + 1), 'cold' end
    allowed, ready = bucket_allowance(s, now, bulk and reserve_share or 0)
    if allowed < 1 then return 0, ready, 'level' end
    count = min(count, allowed)
  end
  if fixed then s.pace_at, s.pace_soon = after(count, s.pace_at, s.pace_soon, fixed) end
  return count
end

-- Returns the longest useful sleep in seconds if all other traffic stopped, the current rate, and the highest possible rate.
local function prospects(bucket)
  if bucket.limit < 1 then return math.huge, math.huge, math.huge end
  local possible = bucket.peak > 0 and capability(bucket) or bucket.limit / token_time(bucket)
  local nap = min(0.15 * bucket.limit / possible, token_time(bucket))
  return max(0.05, nap), max(bucket.rate, 0.1 * capability(bucket)), possible
end

-- Returns a wait that differs between callers, so that they do not return for the same permit, and that grows with their number.
-- `fixed`: the fixed rate that they wait for, if it is not the bucket's.
local function patience(s, now, ready, reason, fixed)
  local nap, rate, possible = prospects(s.tenant)
  local policy_nap, policy_rate, policy_possible = prospects(s.policy)
  nap, rate, possible = min(nap, policy_nap, 60), min(rate, policy_rate, 1000), min(possible, policy_possible, 1000)
  if fixed then rate, possible = fixed, 6 * fixed end
  local leak = 3 * max(2, rate, 0.3 * possible)
  s.asked = max(0, s.asked - leak * (now - s.asked_at) / 1e6) + 1
  s.asked_at = now
  local spread = min(LONGEST_SPREAD, (s.asked - 1) / max(1, rate) * 1e6)
  -- At a fixed rate no permit should go unused, so waits are spread evenly, by the clock's last digits.
  if fixed then spread = spread * (now % 997 / 997) end
  local wait = max(0, ready - now) + spread
  if reason == 'level' then wait = min(wait, nap * (1 + s.asked / 25) * 1e6) end
  return max(2000, math.floor(wait))
end

-- The functions for other scripts.

function limiter_now_us()
  local time = redis.call('TIME')
  return time[1] * 1e6 + time[2]
end

-- Records `readings` and asks for `want` permits in a lane ('interactive' or 'bulk'). A ceiling is a key and a rate.
-- Returns the number granted, the first ticket, the wait in microseconds, and its reason.
function limiter_acquire(key, now, lane, want, config, readings, ceiling_key, ceiling_rate)
  local s = load(key, now)
  if s.newer then return 0, 0, 5e6, 'newer_form' end
  if readings and #readings > 0 then take_readings(s, now, readings) end
  local count, ready, reason, fixed, at, soon = 0, nil, 'ceiling', ceiling_rate, nil, nil
  if ceiling_key then
    local allowed
    at, soon = (redis.call('GET', ceiling_key) or ''):match('^(%S+) (%S+)$')
    allowed, ready, at, soon = pace(tonumber(at) or 0, tonumber(soon) or 0, now, ceiling_rate)
    want = min(want, allowed)
  end
  if want >= 1 then count, ready, reason, fixed = decide(s, now, lane == 'bulk', want, config) end
  if count < 1 then
    local wait = patience(s, now, ready, reason, fixed)
    save(key, s)
    return 0, 0, wait, reason
  end
  local first = s.issued + 1
  s.send_rate = sending(s, now) + count / 0.15 -- a window of 0.3 s that empties evenly
  s.issued, s.granted_at, s.unconfirmed = s.issued + count, now, s.unconfirmed + count
  save(key, s)
  if ceiling_key then
    redis.call('SET', ceiling_key, string.format('%.0f %.0f', after(count, at, soon, ceiling_rate)), 'PX', '604800000')
  end
  return count, first, 0, ''
end

-- Records `readings`. A state of a newer version is left as it is.
function limiter_observe(key, now, readings)
  local s = load(key, now)
  if s.newer then return end
  take_readings(s, now, readings)
  save(key, s)
end

-- Ends a 429's block and returns the rest of it. The quota counts as unknown, so a few requests measure it first.
function limiter_clear(key, now)
  if redis.call('EXISTS', key) == 0 then return 0 end
  local s = load(key, now)
  if s.newer then error('NEWER_FORM') end
  local lifted = max(0, s.blocked_until - now)
  s.blocked_until, s.ignored_at, s.strikes, s.unconfirmed = 0, 0, min(s.strikes, 1), 0
  s.tenant.limit, s.policy.limit = -1, -1
  save(key, s)
  return lifted
end

-- Returns the state for reports: a flat list of names and values, or nil if the key was never used.
function limiter_describe(key, now)
  if redis.call('EXISTS', key) == 0 then return nil end
  local s = load(key, now)
  if s.newer then error('NEWER_FORM') end
  local described = {}
  local function add(name, value)
    described[#described + 1] = name
    described[#described + 1] = string.format('%.17g', value)
  end
  add('issued', s.issued - s.first)
  add('blocked_for_us', max(0, s.blocked_until - now))
  add('reading_age_us', s.read_at > 0 and now - s.read_at or -1)
  add('headerless', s.headerless)
  add('ignored_hint', s.ignored_at > 0 and s.ignored or -1)
  add('ignored_age_us', max(0, now - s.ignored_at))
  for name, bucket in pairs({ tenant = s.tenant, policy = s.policy }) do
    add(name .. '_limit', bucket.limit)
    if bucket.limit >= 0 then
      add(name .. '_level', (level(s, bucket, now)))
      local free, refill, foreign = known_rates(bucket)
      add(name .. '_swing', swing(bucket))
      add(name .. '_free', free)
      add(name .. '_refill', refill)
      add(name .. '_foreign', foreign)
    end
  end
  return described
end
