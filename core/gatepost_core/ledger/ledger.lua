-- One operation's record. Every change of state goes through this script, so the counts always add up.
-- Python puts constants in front of it: a name for each state, `OPEN`, the rule of doubt, the names of redis/keys.py, redis/outbox.lua and
-- celery_result.lua.
--
-- KEYS[1] the operation's hash   KEYS[2] the sorted set of open operations, by their next sweep
-- KEYS[3] the counts, a field per kind and state   KEYS[4..] depend on the call
-- recording.lua writes new records.
-- ARGV[1] the call   ARGV[2] the operation's id   ARGV[3..] its arguments
-- redis-py repeats a call whose reply was lost, so a repeated call gives the same answer. `redeem` cannot: the first call deleted the result.
-- Times are milliseconds since the epoch. `now` comes from the server: one clock for all workers.

local operation, due, counts = KEYS[1], KEYS[2], KEYS[3]
local id = ARGV[2]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function get(field)
  return redis.call('HGET', operation, field)
end

-- Returns the state. The first form of a record has no field `form`, and a record in a later form is left as it is.
local function known_state()
  local found = redis.call('HMGET', operation, 'state', 'form')
  if found[2] then error('NEWER_FORM') end
  return found[1]
end

local function move(from, to)
  local kind = get('kind')
  if from ~= to then
    redis.call('HINCRBY', counts, kind .. ':' .. from, -1)
    redis.call('HINCRBY', counts, kind .. ':' .. to, 1)
  end
  redis.call('HSET', operation, 'state', to, 'updated', now)
end

-- Keys that name an operation expire with its record. A key may name another operation by now.
local function let_keys_expire(lifetime)
  for fingerprint in (get('keys') or ''):gmatch('%w+') do
    if redis.call('HGET', IDEMPOTENCY .. fingerprint, 'operation') == id then
      redis.call('PEXPIRE', IDEMPOTENCY .. fingerprint, lifetime)
    end
  end
end

-- A finished operation keeps these fields until its record expires. All others are deleted at once, the sealed command with them.
local KEPT = { 'kind', 'state', 'attempts', 'created', 'updated', 'deadline', 'redeem', 'reason', 'detail', 'http_status', 'owner' }

-- Writes the record again: only a new hash of short values has Redis's compact form, which takes a quarter of the memory.
local function keep_outcome(reason, detail, http_status)
  local values = redis.call('HMGET', operation, unpack(KEPT))
  values[8], values[9], values[10] = reason, detail, http_status
  local fields = {}
  for number, name in ipairs(KEPT) do
    local value = values[number]
    if value and value ~= '' then
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
  end
  -- This deletes it too. A redeemer, who cancels, may not use DEL.
  redis.call('PEXPIRE', operation, -1)
  redis.call('HSET', operation, unpack(fields))
end

-- Stores the outcome as Celery's result, the only copy of what can be redeemed, and tells Celery's clients that wait for it.
local function store_celery_result(result, lifetime)
  redis.call('SET', META .. id, result, 'PX', lifetime)
  redis.call('PUBLISH', META .. id, result)
end

-- `doubt` is the reason why an earlier attempt may have been carried out, with on_unknown=resend.
local function finish(from, state, reason, detail, http_status, sealed)
  state, reason = end_after(get('doubt'), state, reason)
  -- First, so that a user without the right to record events changes nothing.
  record_event('operation.ended', { operation_id = id, kind = get('kind'), state = state, reason = reason ~= '' and reason or nil }, now)
  move(from, state)
  local lifetime = get('lifetime')
  let_keys_expire(lifetime)
  keep_outcome(reason, detail, http_status)
  redis.call('PEXPIRE', operation, lifetime)
  redis.call('ZREM', due, id)
  store_celery_result(celery_result(id, state, reason, detail, sealed, now), lifetime)
  redis.call('PUBLISH', operation, state)
end

local function finished()
  return { 'finished', get('state'), get('reason') or '', get('detail') or '' }
end

local function busy()
  return { 'busy', math.max(get('lease') - now, 0) }
end

-- Returns the state of an open operation, or nil and the answer.
local function open_state()
  local state = known_state()
  if state and OPEN[state] then return state end
  return nil, state and finished() or { 'missing' }
end

-- Ends an operation whose deadline has passed, and returns whether it did.
local function expired(state)
  if now < tonumber(get('deadline')) then return false end
  finish(state, EXPIRED, 'deadline_passed')
  return true
end

-- Handles an attempt that began and lost its worker. Returns whether that ended the operation.
local function give_up_lost_attempt()
  if get('on_unknown') == 'resend' then
    move(IN_FLIGHT, QUEUED)
    redis.call('HDEL', operation, 'lease', 'attempt')
    redis.call('HSET', operation, 'doubt', 'worker_lost')
    return false
  end
  finish(IN_FLIGHT, UNKNOWN, 'worker_lost')
  return true
end

local function begun()
  return { 'begun', get('attempts'), get('deadline') - now, get('doubt') or '' }
end

local calls = {}

local function record_of(other)
  return operation:sub(1, -#id - 1) .. other
end

-- Returns the answer if no attempt can begin now; else nil, and the state from which it would begin.
local function in_the_way(attempt)
  local state, answer = open_state()
  if not state then return answer end
  if state == IN_FLIGHT then
    if get('attempt') == attempt then return begun() end
    local left = get('lease') - now
    if left > 0 then return { 'busy', left } end
    if give_up_lost_attempt() then return finished() end
    state = QUEUED
  end
  if expired(state) then return finished() end
  local early = (get('not_before') or 0) - now
  if early > 0 then return { 'early', early } end
  return nil, state
end

-- Notes that a queue's messages have arrived up to this one: those published long before it are no longer on the queue.
local function note_delivery()
  local queue = QUEUE_OF[get('kind')]
  if queue then
    local seen = tonumber(redis.call('HGET', DELIVERED, queue) or 0)
    redis.call('HSET', DELIVERED, queue, math.max(seen, get('published_at') or get('updated')), queue .. ':at', now)
  end
end

-- ARGV: '1' if a message has just named the operation
-- Returns the command and its options, or why no attempt can begin. It spends no permit.
function calls.ready(delivered)
  local answer = in_the_way()
  if answer then return answer end
  if delivered == '1' then note_delivery() end
  local found = redis.call('HMGET', operation, 'kind', 'tenant', 'command', 'deadline', 'on_unknown', 'application')
  return { 'ready', found[1], found[2], found[3], found[4], found[5], found[6] or '' }
end

-- Marks the attempt just before its bytes leave.
local function start(state, attempt, lease)
  move(state, IN_FLIGHT)
  redis.call('HSET', operation, 'attempt', attempt, 'lease', now + lease)
  redis.call('HDEL', operation, 'not_before', 'blocked', 'published_at')
  redis.call('ZADD', due, now + lease, id)
  redis.call('HINCRBY', operation, 'attempts', 1)
  return begun()
end

-- ARGV: the attempt's token, lease in milliseconds
function calls.begin(attempt, lease)
  local answer, state = in_the_way(attempt)
  return answer or start(state, attempt, lease)
end

-- ARGV: the attempt's token, state, reason, Auth0's code, HTTP status, sealed result
-- Only the attempt that began may settle. One that lost its lease gets the present state.
function calls.settle(attempt, state, reason, detail, http_status, sealed)
  if get('settled_by') == attempt then return { 'settled' } end
  if get('state') ~= IN_FLIGHT or get('attempt') ~= attempt then
    return get('state') and finished() or { 'missing' }
  end
  finish(IN_FLIGHT, state, reason, detail, http_status, sealed)
  redis.call('HSET', operation, 'settled_by', attempt)
  return { 'settled' }
end

-- ARGV: the attempt's token ('' before one began), wait in milliseconds, '1' if the wait costs no attempt, milliseconds until the next sweep,
-- why the attempt may have been carried out ('' if it was not), what kept a worker from it ('' for nothing)
function calls.postpone(attempt, wait, free, look_after, doubt, blocked)
  local state, answer = open_state()
  if not state then return answer end
  if state == IN_FLIGHT and get('attempt') ~= attempt then return busy() end
  if state == IN_FLIGHT and free == '1' then redis.call('HINCRBY', operation, 'attempts', -1) end
  if doubt ~= '' then redis.call('HSET', operation, 'doubt', doubt) end
  if expired(state) then return finished() end
  move(state, free == '1' and DEFERRED or QUEUED)
  redis.call('HDEL', operation, 'attempt', 'lease', 'published_at')
  redis.call('HSET', operation, 'not_before', now + wait)
  if blocked ~= '' then
    redis.call('HSET', operation, 'blocked', blocked)
  else
    redis.call('HDEL', operation, 'blocked')
  end
  -- Waits in a row must not hide the deadline from the sweep.
  redis.call('ZADD', due, math.min(now + wait + look_after, get('deadline')), id)
  return { 'postponed' }
end

-- Ends an open operation of a restored backup, which may have been carried out since the backup. No worker is running.
function calls.recover()
  local state = open_state()
  if not state then
    redis.call('ZREM', due, id)
    return { 'missing' }
  end
  finish(state, UNKNOWN, get('doubt') or 'backup_restored')
  return finished()
end

-- ARGV: state, reason. Ends an operation that no attempt has begun.
function calls.close(state_to, reason)
  local state, answer = open_state()
  if not state then return answer end
  if state == IN_FLIGHT then return busy() end
  finish(state, state_to, reason)
  return finished()
end

-- ARGV: the application that the operation must be for, and the new one
function calls.adopt(before, after)
  local state, answer = open_state()
  if not state then return answer end
  if get('application') ~= before then return { 'other' } end
  if state == IN_FLIGHT then return busy() end
  redis.call('HSET', operation, 'application', after)
  redis.call('HDEL', operation, 'blocked')
  return { 'adopted' }
end

-- Returns, for each queue, the time before which a message must have been published to be lost: messages published long after it have
-- arrived, or the queue is empty and no message has arrived lately.
local function lost_before(look_after, drained)
  local before = {}
  for _, queue in pairs(QUEUE_OF) do
    local seen = redis.call('HMGET', DELIVERED, queue, queue .. ':at')
    local is_idle = drained:find(queue, 1, true) and now - (seen[2] or 0) > look_after
    before[queue] = is_idle and math.huge or (seen[1] or 0) - look_after
  end
  return before
end

-- Returns the deadline of an operation that waits, unless its message must be lost. One command, because very many may wait.
local function just_waits(before)
  local found = redis.call('HMGET', operation, 'state', 'kind', 'deadline', 'updated', 'published_at', 'not_before', 'form')
  local state, queue, deadline = found[1], QUEUE_OF[found[2]], tonumber(found[3])
  local published_at = tonumber(found[5] or found[4])
  return not found[7] and OPEN[state] and state ~= IN_FLIGHT and now < deadline and queue and published_at > 0
    and before[queue] <= math.max(published_at, found[6] or 0) and deadline
end

local function sweep_one(look_after, since)
  local state = known_state()
  if not state or not OPEN[state] then
    redis.call('ZREM', due, id)
    return { state and 'settled' or 'missing' }
  end
  if state == IN_FLIGHT then
    local lease = tonumber(get('lease'))
    if lease > now then
      redis.call('ZADD', due, lease, id)
      return { 'busy', lease - now }
    end
    if give_up_lost_attempt() then return finished() end
    state = QUEUED
  end
  if expired(state) then return finished() end
  local kind = get('kind')
  if tonumber(get('published_at') or 0) >= since then return { 'publish', kind } end
  local published = redis.call('HINCRBY', operation, 'published', 1)
  redis.call('HSET', operation, 'published_at', now)
  local again = now + look_after * 2 ^ math.min(published, 6)
  redis.call('ZADD', due, math.min(again, get('deadline')), id)
  return { 'publish', kind }
end

-- ARGV: milliseconds until the next sweep, which double with every publication, the names of the empty queues, when this run of the
-- reconciler began, milliseconds until the next sweep of a record that cannot be read, the operations' ids
-- Returns an id and an answer in turn, for operations that do not just wait. A repeated call finds what this run published.
function calls.sweep(look_after, drained, since, set_aside, ...)
  look_after, since = tonumber(look_after), tonumber(since)
  local before = lost_before(look_after, drained)
  local answers, later, prefix = {}, {}, record_of('')
  for _, other in ipairs({ ... }) do
    operation, id = prefix .. other, other
    local read, deadline = pcall(just_waits, before)
    if read and deadline then
      later[#later + 1] = math.min(now + look_after, deadline)
      later[#later + 1] = id
    else
      local answer
      read, answer = pcall(sweep_one, look_after, since)
      if not read then redis.call('ZADD', due, 'XX', now + set_aside, id) end
      answers[#answers + 1] = id
      answers[#answers + 1] = read and answer or { 'corrupt' }
    end
  end
  if #later > 0 then redis.call('ZADD', due, unpack(later)) end
  return answers
end

-- ARGV: milliseconds until the next sweep. The broker did not take the message, so its publication does not count.
function calls.unpublished(look_after)
  local deadline = get('deadline')
  if deadline and OPEN[known_state()] then
    if tonumber(get('published') or 0) > 0 then redis.call('HINCRBY', operation, 'published', -1) end
    redis.call('HSET', operation, 'published_at', 0)
    redis.call('ZADD', due, 'XX', math.min(now + look_after, deadline), id)
  end
  return { 'unpublished' }
end

-- Removes the sealed part of the stored result, and returns it, or nil. The error of a refusal stays, without its message.
local function take_sealed(state)
  local sealed = sealed_part(redis.call('GET', META .. id))
  if not sealed then return nil end
  if state and state ~= ACCEPTED then
    local rest = celery_result(id, state, get('reason'), get('detail'), '', get('updated'))
    redis.call('SET', META .. id, rest, 'KEEPTTL')
  else
    redis.call('DEL', META .. id)
  end
  return sealed
end

-- KEYS[4] the recipients' index   ARGV: the operation's entry in it
-- Ends an operation that no attempt has begun, and deletes everything that leads to the recipient. A finished record holds nothing of them.
function calls.forget(entry)
  local state = known_state()
  if state == IN_FLIGHT then return busy() end
  if OPEN[state] then
    finish(state, CANCELLED, 'cancelled_by_caller')
  end
  redis.call('ZREM', KEYS[4], entry)
  return { 'forgotten', state or '', take_sealed(state) and 1 or 0 }
end

-- ARGV: the SHA-256 of the redeem token; '' without one
-- Returns the sealed result once, to a caller with the token. Another token deletes nothing.
function calls.redeem(digest)
  local state, expected = known_state(), get('redeem')
  if not state then return { 'missing' } end
  if not expected then return { 'nothing', 'not_a_login' } end
  if digest ~= expected then return { 'wrong' } end
  if OPEN[state] then return { 'open' } end
  local redeemed = get('redeemed')
  if redeemed then return { 'nothing', 'redeemed', redeemed } end
  local sealed = take_sealed(state)
  if not sealed then return { 'gone' } end
  redis.call('HSET', operation, 'redeemed', now)
  return { 'redeemed', sealed }
end

-- ARGV: how long to keep the result
-- Answers a message whose operation has no record, unless a result is stored.
function calls.answer_missing(lifetime)
  if not get('state') and redis.call('EXISTS', META .. id) == 0 then
    store_celery_result(celery_form(id, 'FAILURE', celery_error(OPERATION_NOT_FOUND, ''), '', now), lifetime)
  end
  return { 'missing' }
end
