-- An attempt at a single operation in two calls: one begins it, one ends it. The limiter's library and the ledger's script precede this text.
-- Python puts constants in front: `ENDPOINT_OF` and `LANE_OF` by kind, and `LIMITER` of redis/keys.py.

local now_us = clock[1] * 1e6 + clock[2]

-- Returns the pacing of the operation's tenant if the worker has checked that it sends for the tenant's application.
local function pacing_of(tenant, application, ...)
  local checked = { ... }
  for at = 1, #checked, 3 do
    if checked[at] == tenant and checked[at + 1] == application then return checked[at + 2] end
  end
end

-- ARGV: the attempt's token, '1' if a message has just named the operation, the longest wait for a permit in microseconds, the longest time to
-- put it off for a longer wait in milliseconds, milliseconds until the next sweep, the leases by kind as JSON, then for each application that
-- the worker has checked: its tenant, the application, the pacing
-- Begins an attempt if the operation can begin and there is a permit.
function calls.attempt(attempt, delivered, patience, hop, look_after, leases, ...)
  local answer, state = in_the_way(attempt)
  if answer and answer[1] ~= 'begun' then return answer end
  if delivered == '1' then note_delivery() end
  local kind, tenant, command, deadline, on_unknown, application = unpack(
    redis.call('HMGET', operation, 'kind', 'tenant', 'command', 'deadline', 'on_unknown', 'application'))
  local described = { kind, tenant, command, deadline, on_unknown, application or '' }
  -- A repeated call: the reply with the ticket was lost, and a reading without one is taken too.
  local ticket = 0
  if not answer then
    local pacing = pacing_of(tenant, application or '', ...)
    if not pacing then return { 'ready', unpack(described) } end
    local granted, first, wait = limiter_acquire(LIMITER .. tenant .. ':' .. ENDPOINT_OF[kind], now_us, LANE_OF[kind], 1,
      pacing, '')
    if granted < 1 then
      if wait <= tonumber(patience) then return { 'wait', wait, tenant, kind } end
      local put_off = math.min(math.ceil(wait / 1000), tonumber(hop))
      answer = calls.postpone('', put_off, '1', look_after, '', '')
      return answer[1] == 'postponed' and { 'put_off', put_off, tenant, kind } or answer
    end
    ticket, answer = first, start(state, attempt, cjson.decode(leases)[kind])
  end
  return { 'attempt', ticket, answer[2], answer[3], answer[4], unpack(described) }
end

-- ARGV: the limiter's key, readings, another call and its arguments
-- Passes readings to the limiter, and makes the other call.
function calls.observed(limiter, readings, call, ...)
  limiter_observe(limiter, now_us, readings)
  return calls[call](...)
end
