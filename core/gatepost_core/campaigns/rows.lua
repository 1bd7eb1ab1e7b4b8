-- Shared by all calls on a campaign: changes of rows and counts, pauses, the end, and the batches to publish next.
--
-- KEYS[1] the campaign's record. Its other keys are built from it, with the names of redis/keys.py:
--   BATCH_KEY N   rows (sealed), states (a byte a row), details (a record for each row but those accepted at the first attempt); while leased:
--                 token, lease, seq, reply, and retried if rows were queued again meanwhile
--   OUT_KEY       batches on the broker or leased, by the time of their next check
--   WAITING_KEY   batches given back, by the time from which they may be published
--   BLOCKED_KEY   batches that a worker could not send, with time and reason
--   HELD_KEY      leased batches, by their worker's last step
--   INDEX_KEY N   the index of recipients
-- Batches from `next` on were never published. A batch in neither set has no open row, or was lost.
-- redis-py repeats a call whose reply was lost, so a repeated call changes nothing.
-- Times are milliseconds since the epoch by the server's clock. `now_us` (microseconds) comes from the text in front of this one.

local campaign = KEYS[1]
local out, waiting, blocked, held = campaign .. OUT_KEY, campaign .. WAITING_KEY, campaign .. BLOCKED_KEY, campaign .. HELD_KEY
local now = math.floor(now_us / 1000)

local RECORD, RECORD_BYTES = '<BBHBI4', 9
local HOP = 60000 -- the longest delay of a message
local MOST_BLOCKED = 64 -- enough to show why when every batch is blocked
local GONE, UNREADABLE = 'damaged It is not there any more.', 'damaged Its states cannot be read.'

local function get(field)
  return redis.call('HGET', campaign, field)
end

-- The first form of a record has no field `form`. A campaign in a later form is left as it is.
if get('form') then error('NEWER_FORM') end

local function batch_key(number)
  return campaign .. BATCH_KEY .. string.format('%d', number)
end

-- Counts -----------------------------------------------------------------------------------------------------------

local pending = {}

local function count(field, by)
  pending[field] = (pending[field] or 0) + by
end

local function save_counts()
  for field, by in pairs(pending) do
    if by ~= 0 then redis.call('HINCRBY', campaign, field, by) end
  end
  pending = {}
end

local function tally(state, record, by)
  local reason = record:byte(2)
  if TERMINAL[state] and reason ~= 0 then count('reason:' .. NAME[state] .. ':' .. reason, by) end
end

-- Rows -------------------------------------------------------------------------------------------------------------

local function load_batch(number)
  local found = redis.call('HMGET', batch_key(number), 'states', 'details', 'token', 'lease', 'seq', 'reply', 'retried')
  if not found[1] then return nil end
  local details = found[2] or ''
  return {
    number = number, states = found[1], details = details, loaded_details = details,
    token = found[3], lease = tonumber(found[4]) or 0, seq = found[5], reply = found[6],
    retried = found[7],
  }
end

local function save_batch(batch, ...)
  if batch.details ~= batch.loaded_details then
    redis.call('HSET', batch_key(batch.number), 'details', batch.details)
  end
  redis.call('HSET', batch_key(batch.number), 'states', batch.states, ...)
end

local function is_open(batch)
  return batch.states:find(OPEN) ~= nil
end

local function find_record(batch, row)
  local details = batch.details
  for at = 1, #details, RECORD_BYTES do
    if details:byte(at) == row then return at, details:sub(at, at + RECORD_BYTES - 1) end
  end
end

local function record_of(row, reason, attempts)
  return struct.pack(RECORD, row, reason, 0, attempts, math.floor(now / 1000))
end

local function attempts_of(record)
  return record and record:byte(5) or 0
end

-- Row numbers begin at 0. `record` replaces the row's record; nil removes it.
local function change(batch, row, to, record)
  local from = batch.states:sub(row + 1, row + 1)
  if batch.details ~= '' then
    local at, old = find_record(batch, row)
    if at then
      tally(from, old, -1)
      batch.details = batch.details:sub(1, at - 1) .. batch.details:sub(at + RECORD_BYTES)
    end
  end
  if record then
    tally(to, record, 1)
    batch.details = batch.details .. record
  end
  if from ~= to then
    count(NAME[from], -1)
    count(NAME[to], 1)
    batch.states = batch.states:sub(1, row) .. to .. batch.states:sub(row + 2)
  end
end

-- Handles rows that began and lost their worker. Returns their number.
local function give_up_lost(batch)
  local row = batch.states:find(IN_FLIGHT, 1, true)
  if not row then return 0 end
  local policy = redis.call('HMGET', campaign, 'on_unknown', 'max_attempts')
  local lost = 0
  while row do
    local _, old = find_record(batch, row - 1)
    local attempts = attempts_of(old) + 1
    local again = policy[1] == 'resend' and attempts < tonumber(policy[2])
    change(batch, row - 1, again and QUEUED or UNKNOWN, record_of(row - 1, CODE.worker_lost, attempts))
    lost = lost + 1
    row = batch.states:find(IN_FLIGHT, row, true)
  end
  return lost
end

-- Returns the record if an attempt in it may have been carried out.
local function in_doubt(record)
  return record ~= nil and DOUBT[record:byte(2)] == true and record or nil
end

-- Ends a row without an attempt under way.
local function end_row(batch, row, to, old, record)
  change(batch, row, end_after(in_doubt(old), to, record))
end

-- Ends the rows without an attempt under way. The state implies the reason, so a record is kept only for its attempts.
local function close_rows(batch, to)
  local closed = 0
  if batch.details == '' then
    for from in WAITING:gmatch('%a') do
      local states, times = batch.states:gsub(from, to)
      batch.states = states
      count(NAME[from], -times)
      closed = closed + times
    end
    count(NAME[to], closed)
    return closed
  end
  local row = batch.states:find(WAITING)
  while row do
    local _, old = find_record(batch, row - 1)
    end_row(batch, row - 1, to, old, old and record_of(row - 1, 0, attempts_of(old)))
    closed = closed + 1
    row = batch.states:find(WAITING, row)
  end
  return closed
end

-- Leases -----------------------------------------------------------------------------------------------------------

local function drop_lease(batch, keep_published)
  redis.call('HDEL', batch_key(batch.number), 'token', 'lease', 'seq', 'reply')
  if not keep_published then redis.call('HDEL', batch_key(batch.number), 'published') end
  redis.call('ZREM', held, batch.number)
  batch.token = nil
end

-- Ends the work on a batch: with open rows it waits, without any it is done.
local function give_back(batch, not_before)
  redis.call('ZREM', out, batch.number)
  if is_open(batch) then
    redis.call('ZADD', waiting, not_before, batch.number)
  else
    redis.call('ZREM', waiting, batch.number)
  end
end

-- Records for operators why workers cannot send a batch.
local function note_blocked(number, why)
  if redis.call('HLEN', blocked) < MOST_BLOCKED then
    redis.call('HSET', blocked, number, string.format('%d', now) .. ' ' .. why)
  end
end

-- Events -----------------------------------------------------------------------------------------------------------

local function event_about(fields)
  fields.campaign_id, fields.counts = campaign:sub(#CAMPAIGN_KEY + 1), {}
  fields.total = tonumber(get('total'))
  for _, name in pairs(NAME) do fields.counts[name] = get(name) + (pending[name] or 0) end
  return fields
end

local function reason_of(code)
  for reason, number in pairs(CODE) do
    if number == code then return reason end
  end
end

local function record_pause(reason, cause)
  if not is_subscribed('campaign.paused') then return end
  record_event('campaign.paused', event_about({ reason = reason, cause = reason_of(tonumber(cause)) }), now)
end

local function record_end(status)
  if not is_subscribed('campaign.finished') then return end
  record_event('campaign.finished', event_about({ status = status }), now)
end

-- Status -----------------------------------------------------------------------------------------------------------

local MOST_CHANGES = 1000

-- `event` names the change if the status alone does not.
local function set_status(status, event)
  redis.call('HSET', campaign, 'status', status, 'updated', now)
  redis.call('PUBLISH', campaign, status)
  -- A worker writes it to the log.
  local change = { campaign = campaign, event = event or status, at = string.format('%d', now) }
  if status == 'paused' then
    change.reason, change.cause = get('pause_reason') or nil, get('pause_cause') or nil
  elseif status == 'finished' or status == 'cancelled' then
    change.counts = {}
    for _, name in pairs(NAME) do change.counts[name] = tonumber(get(name)) end
  end
  redis.call('RPUSH', CHANGES, cjson.encode(change))
  redis.call('LTRIM', CHANGES, -MOST_CHANGES, -1)
end

local function sum_of(fields)
  local sum = 0
  for _, number in ipairs(redis.call('HMGET', campaign, unpack(fields))) do sum = sum + number end
  return sum
end

local function new_baseline()
  local failed = sum_of(FAILURE_FIELDS)
  redis.call('HSET', campaign, 'base_failed', failed, 'base_settled', failed + get(NAME[ACCEPTED]), 'run_length', 0, 'run_reason', 0)
  redis.call('HDEL', campaign, 'level_failed')
end

local function pause(reason, cause)
  if get('status') ~= 'running' then return end
  redis.call('HSET', campaign, 'pause_reason', reason, 'pause_cause', cause)
  if reason ~= 'by_operator' then record_pause(reason, cause) end
  set_status('paused')
end

local function done_count()
  return get('total') - sum_of(OPEN_FIELDS)
end

local function go_on()
  redis.call('HDEL', campaign, 'pause_reason', 'pause_cause', 'ended', 'rests_until')
  local is_first = redis.call('HSETNX', campaign, 'started', now) == 1
  redis.call('HSET', campaign, 'paced_at', now, 'paced_done', done_count(), 'rate', 0)
  redis.call('SADD', ACTIVE, campaign)
  new_baseline()
  set_status('running', is_first and 'started' or 'resumed')
end

-- Ends a campaign without open rows.
local function end_if_done()
  local found = redis.call('HMGET', campaign, 'status', 'started', 'pause_reason')
  -- After a restored backup, an operator decides first.
  if found[1] == 'paused' and found[3] == 'backup_restored' then return end
  if sum_of(OPEN_FIELDS) > 0 then return end
  local ended = found[1] == 'cancelling' and 'cancelled' or found[2] and (found[1] == 'running' or found[1] == 'paused') and 'finished'
  if not ended then return end
  redis.call('HDEL', campaign, 'pause_reason', 'pause_cause', 'rests_until')
  redis.call('HSET', campaign, 'ended', now, 'rate', 0)
  redis.call('SREM', ACTIVE, campaign)
  redis.call('DEL', out, waiting, blocked)
  record_end(ended)
  set_status(ended)
end

-- The limit of batches under way -----------------------------------------------------------------------------------

-- A batch makes as many calls as it has rows, so the calls in flight give the number of batches that are needed. Twice that number may be
-- out: it doubles while permits are not the limit. Each worker gets one batch more, to find more permits. Few batches wait on the queue when
-- all threads are busy, so another campaign's batches are soon served. Up to three blocked batches do not count.
local ROWS, SPARE = 256, 4
local LIVE = 60000 -- a worker that has taken no batch for longer does not count

local function live_workers()
  return math.max(1, redis.call('ZCOUNT', WORKERS, now - LIVE, '+inf'))
end

local function note_rate()
  local found = redis.call('HMGET', campaign, 'paced_at', 'paced_done', 'rate')
  local elapsed = now - found[1]
  if elapsed < 1000 then return end
  local done = done_count()
  local rate = math.max(0, done - found[2]) * 1000 / elapsed
  redis.call('HSET', campaign, 'paced_at', now, 'paced_done', done, 'rate', string.format('%.3f', (rate + found[3]) / 2))
end

-- The batches of a silent worker wait for their leases. They do not count, so that the other workers keep their pace.
local function silent_number()
  return redis.call('ZCOUNT', held, '-inf', now - SILENT)
end

local function silent_calls()
  local calls = 0
  for _, number in ipairs(redis.call('ZRANGE', held, '-inf', now - SILENT, 'BYSCORE')) do
    local states = redis.call('HGET', batch_key(number), 'states') or ''
    calls = calls + select(2, states:gsub(IN_FLIGHT, ''))
  end
  return calls
end

local function batches_out()
  return redis.call('ZCARD', out) - silent_number()
end

local function set_in_flight_limit()
  local found = redis.call('HMGET', campaign, 'in_flight', 'calls', 'calls_at', 'max_in_flight')
  local in_flight, calls = (tonumber(found[1]) or 0) - silent_calls(), tonumber(found[2]) or 0
  local leased = redis.call('ZCARD', held) - silent_number()
  local newest = math.min(1, (now - (tonumber(found[3]) or 0)) / 2000)
  calls = math.max(0, in_flight, calls + (in_flight - calls) * newest)
  local workers = live_workers() + math.min(SPARE - 1, redis.call('HLEN', blocked))
  local limit = math.min(math.ceil(2 * calls / ROWS) + workers, leased + math.max(workers, SPARE), tonumber(found[4]))
  redis.call('HSET', campaign, 'calls', string.format('%.3f', calls), 'calls_at', now, 'in_flight_limit', limit)
  return limit
end

-- Returns whether more batches are out than the limit allows. Then a batch that waits for a permit ends.
local function is_surplus()
  return batches_out() > tonumber(get('in_flight_limit'))
end

-- Publishing -------------------------------------------------------------------------------------------------------

-- Returns the batches to publish now, as number and delay in milliseconds in turn, within the limit of batches out.
-- The sweep finds a lost message in `out`. The time until then doubles with each publication, so that a long queue does not fill with copies.
local function feed(look_after)
  local found = redis.call('HMGET', campaign, 'status', 'next', 'batches', 'rests_until', 'deadline')
  local deadline = tonumber(found[5])
  if found[1] ~= 'running' or deadline and now >= deadline then return {} end
  note_rate()
  local room = set_in_flight_limit() - batches_out()
  local rest = math.max(0, (tonumber(found[4]) or 0) - now)
  if room <= 0 or rest > HOP then return {} end
  local picked = {}
  local function pick(number, delay)
    local published = redis.call('HINCRBY', batch_key(number), 'published', 1)
    redis.call('ZREM', waiting, number)
    redis.call('ZADD', out, now + delay + look_after * 2 ^ math.min(published - 1, 6), number)
    picked[#picked + 1] = number
    picked[#picked + 1] = delay
    room = room - 1
  end
  local function pick_waiting(from, to)
    if room <= 0 then return end
    local found_waiting = redis.call('ZRANGE', waiting, from, to, 'BYSCORE', 'LIMIT', 0, room, 'WITHSCORES')
    for at = 1, #found_waiting, 2 do
      pick(tonumber(found_waiting[at]), math.max(rest, math.ceil(found_waiting[at + 1] - now)))
    end
  end
  pick_waiting('-inf', now + rest)
  local next_batch, batches = tonumber(found[2]), tonumber(found[3])
  local fresh = math.max(0, math.min(room, batches - next_batch))
  for number = next_batch, next_batch + fresh - 1 do pick(number, rest) end
  if fresh > 0 then redis.call('HSET', campaign, 'next', next_batch + fresh) end
  pick_waiting('(' .. now + rest, now + HOP)
  return picked
end

local function numbers(first, ...)
  local reply = { first }
  for _, list in ipairs({ ... }) do
    for _, value in ipairs(list) do reply[#reply + 1] = value end
  end
  return reply
end
