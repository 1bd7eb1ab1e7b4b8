-- The worker's calls on one batch. The campaigns' library and the limiter's library precede this text.
--
-- KEYS[1] the campaign's record   KEYS[2] the limiter's key   KEYS[3] the ceiling's, if any   ARGV[1] the call   ARGV[2..] its arguments
-- A lease has a token; calls with another token change nothing. A step has a number; repeating it returns the same reply.

local calls = {}

local SETTLEMENT_BYTES = 11
local FAILED, REFUSED = 1, 2
local ENOUGH = 100 -- settled recipients before their share of failures counts

-- Returns why nothing may begin, or nil.
local function stopped()
  local found = redis.call('HMGET', campaign, 'status', 'deadline')
  if found[1] ~= 'running' then return found[1] or 'missing' end
  local deadline = tonumber(found[2])
  return deadline and now >= deadline and 'deadline' or nil
end

local function hold(batch, lease, ...)
  save_batch(batch, 'token', batch.token, 'lease', now + lease, ...)
  redis.call('ZADD', out, now + lease, batch.number)
  redis.call('ZADD', held, now, batch.number)
end

-- ARGV: the batch's number, the lease's token, its milliseconds, the worker
function calls.claim(number, token, lease, worker)
  number = tonumber(number)
  redis.call('ZREMRANGEBYSCORE', WORKERS, '-inf', '(' .. now - LIVE)
  redis.call('ZADD', WORKERS, now, worker)
  local batch = load_batch(number)
  if not batch or number >= tonumber(get('next')) then
    redis.call('ZREM', held, number)
    if get('status') and redis.call('ZREM', out, number) == 1 then note_blocked(number, GONE) end
    return { 'missing' }
  end
  if batch.token and batch.token ~= token and batch.lease > now then return { 'busy' } end
  local not_before = redis.call('ZSCORE', waiting, number)
  if not_before and tonumber(not_before) > now then return { 'early' } end
  if batch.token ~= token then
    if batch.token then give_up_lost(batch) end
    local why = not is_open(batch) and 'done' or stopped()
    redis.call('HDEL', blocked, number)
    if why then
      if why == 'done' and batch.states:find(NOT_A_STATE) then note_blocked(number, UNREADABLE) end
      save_batch(batch)
      drop_lease(batch)
      give_back(batch, now)
      save_counts()
      end_if_done()
      return { why }
    end
    redis.call('HDEL', batch_key(number), 'seq', 'reply', 'published', 'retried')
    redis.call('ZREM', waiting, number)
    batch.token = token
    hold(batch, lease)
    save_counts()
  end
  local suppressed = redis.call('HGET', SUPPRESSION, 'index_size')
  return { 'claimed', redis.call('HGET', batch_key(number), 'rows'), batch.states, batch.details, get('options'), get('auth_params') or '',
    tonumber(suppressed) or 0, now, get('application') or '' }
end

-- ARGV: the batch's number, the token, rows (a byte each), their fingerprints for the suppression list, a byte each: '1' if the
-- guest list lacks the row, '2' if its person was erased
function calls.screen(number, token, rows, fingerprints, uninvited)
  local batch = load_batch(tonumber(number))
  if not batch or batch.token ~= token then return { 'lost' } end
  local index = index_open(SUPPRESSION, SUPPRESSION .. INDEX_KEY)
  for at = 1, #rows do
    local row = rows:byte(at)
    local mark = uninvited:sub(at, at)
    local reason = mark == '1' and CODE.not_on_guest_list or mark == '2' and CODE.on_suppression_list
    if not reason and index.size > 0 then
      local entry = index_find(index, fingerprints:sub(at * 8 - 7, at * 8))
      if entry then
        local _, _, expires = struct.unpack('<BI4I4', entry)
        reason = (expires == 0 or expires * 1000 > now) and CODE.on_suppression_list
      end
    end
    if reason and batch.states:sub(row + 1, row + 1):find(WAITING) then
      local _, old = find_record(batch, row)
      end_row(batch, row, SUPPRESSED, old, record_of(row, reason, attempts_of(old)))
    end
  end
  save_batch(batch)
  save_counts()
  return { 'screened', batch.states }
end

-- Pauses ------------------------------------------------------------------------------------------------------------

local function watch_run(reason, failed, watch)
  if not failed then
    if watch.length > 0 then watch.length, watch.reason, watch.changed = 0, 0, true end
    return
  end
  watch.length = watch.reason == reason and watch.length + 1 or 1
  watch.reason, watch.changed = reason, true
  if watch.limit > 0 and watch.length >= watch.limit then pause('failures_in_a_row', reason) end
end

local function watch_share(reason)
  local found = redis.call('HMGET', campaign, 'pause_above_error_share', 'base_failed', 'base_settled', NAME[ACCEPTED])
  local all_failed = sum_of(FAILURE_FIELDS)
  local failed = all_failed - found[2]
  local settled = all_failed + found[4] - found[3]
  local share = tonumber(found[1])
  if share > 0 and settled >= ENOUGH and failed > share * settled then pause('error_share', reason) end
end

local function begin_watch()
  local found = redis.call('HMGET', campaign, 'run_reason', 'run_length', 'pause_after_errors')
  return { reason = tonumber(found[1]), length = tonumber(found[2]), limit = tonumber(found[3]) }
end

-- Thresholds --------------------------------------------------------------------------------------------------------

local ENDED_LEVELS, FAILED_LEVELS = { 25, 50, 75 }, { 1, 5, 10, 25, 50 } -- percent

local function note_level(measure, levels, share)
  local field, level = 'level_' .. measure, 0
  for _, percent in ipairs(levels) do
    if share * 100 >= percent then level = percent end
  end
  local before = tonumber(get(field) or 0)
  -- A retry lowers the share of the rows that ended, which can then reach a level again.
  if level > before or level < before and measure == 'ended' then redis.call('HSET', campaign, field, level) end
  if level > before then
    record_event('campaign.threshold_reached', event_about({ measure = measure, percent = level }), now)
  end
end

local function note_thresholds()
  if not is_subscribed('campaign.threshold_reached') then return end
  note_level('ended', ENDED_LEVELS, done_count() / math.max(1, get('total')))
  local found = redis.call('HMGET', campaign, 'base_failed', 'base_settled', NAME[ACCEPTED])
  local all_failed = sum_of(FAILURE_FIELDS)
  local settled = all_failed + found[3] - found[2]
  if settled >= ENOUGH then note_level('failed', FAILED_LEVELS, (all_failed - found[1]) / settled) end
end

-- Settling and beginning --------------------------------------------------------------------------------------------

-- A settlement: row, state, flags, reason, HTTP status (two bytes), attempts, seconds (four bytes).
local function settle(batch, settlements)
  local watch = begin_watch()
  local failure
  for at = 1, #settlements, SETTLEMENT_BYTES do
    local row, to, flags, reason = settlements:byte(at), settlements:sub(at + 1, at + 1), settlements:byte(at + 2, at + 3)
    local attempts = settlements:byte(at + 6)
    if batch.states:sub(row + 1, row + 1) == IN_FLIGHT then
      local record
      if reason ~= 0 or attempts > (to == ACCEPTED and 1 or 0) then record = settlements:sub(at, at) .. settlements:sub(at + 3, at + 10) end
      if to:find(WAITING) and watch.cancelled == nil then
        local status = get('status')
        watch.cancelled = status == 'cancelling' or status == 'cancelled'
      end
      if to:find(WAITING) and watch.cancelled then
        to, record = end_after(in_doubt(record), CANCELLED, record and record_of(row, 0, attempts))
      end
      change(batch, row, to, record)
      if flags == REFUSED then
        pause('refused', reason)
      elseif flags == FAILED or to == ACCEPTED then
        watch_run(reason, flags == FAILED, watch)
        if flags == FAILED then failure = reason end
      end
    end
  end
  save_counts()
  if watch.changed then redis.call('HSET', campaign, 'run_reason', watch.reason, 'run_length', watch.length) end
  if failure then watch_share(failure) end
end

local function open_from(batch, cursor, most)
  local rows = {}
  local at = batch.states:find(WAITING, cursor + 1)
  while at and #rows < most do
    rows[#rows + 1] = at - 1
    at = batch.states:find(WAITING, at + 1)
  end
  return rows
end

local function begin(batch, rows, granted)
  local begun = {}
  for at = 1, granted do
    local row = rows[at]
    count(NAME[batch.states:sub(row + 1, row + 1)], -1)
    count(NAME[IN_FLIGHT], 1)
    batch.states = batch.states:sub(1, row) .. IN_FLIGHT .. batch.states:sub(row + 2)
    begun[at] = row
  end
  return begun
end

-- Begins the next rows, once the rows in flight are settled.
local function begin_next(batch, cursor, want, config, readings, ceiling_rate)
  local why = stopped()
  -- Rows retried since the claim wait for the next claim, which screens them.
  local rows = (why or batch.retried) and {} or open_from(batch, cursor, want)
  if #rows == 0 then
    if readings ~= '' then limiter_observe(KEYS[2], now_us, readings) end
    return { why and 'stopped' or 'end', why or '' }
  end
  local granted, ticket, wait_us, reason = limiter_acquire(KEYS[2], now_us, 'bulk', #rows, config, readings, KEYS[3], ceiling_rate)
  if granted == 0 then return is_surplus() and { 'stopped', 'surplus' } or { 'wait', wait_us, reason } end
  return numbers('begun', { ticket }, begin(batch, rows, granted))
end

-- ARGV: the batch's number, the token, the step's number, the lease's milliseconds, settlements, the first row to look at, how many rows
-- to begin at most, the limiter's settings, readings, the ceiling's rate
-- Settles rows, passes readings to the limiter, takes permits, and begins as many rows.
function calls.step(number, token, seq, lease, settlements, cursor, want, config, readings, ceiling_rate)
  local batch = load_batch(tonumber(number))
  if not batch or batch.token ~= token then return { 'lost' } end
  if batch.seq == seq then return cmsgpack.unpack(batch.reply) end
  if settlements ~= '' then settle(batch, settlements) end
  local reply = begin_next(batch, tonumber(cursor), tonumber(want), config, readings, tonumber(ceiling_rate))
  hold(batch, lease, 'seq', seq, 'reply', cmsgpack.pack(reply))
  save_counts()
  if settlements ~= '' then note_thresholds() end
  return reply
end

-- ARGV: the batch's number, the token, milliseconds until it may be claimed again, milliseconds that the campaign rests, look again after
function calls.release(number, token, wait, rest, look_after)
  local batch = load_batch(tonumber(number))
  if not batch or batch.token ~= token then return { 'lost' } end
  give_up_lost(batch)
  save_batch(batch)
  drop_lease(batch)
  give_back(batch, now + wait)
  if tonumber(rest) > 0 then
    redis.call('HSET', campaign, 'rests_until', math.max(now + rest, tonumber(get('rests_until')) or 0))
  end
  save_counts()
  end_if_done()
  return numbers('publish', feed(tonumber(look_after)))
end

-- ARGV: the batch's number, the token, milliseconds until it is published again, look again after, why the worker cannot send it
function calls.block(number, token, wait, look_after, why)
  number = tonumber(number)
  local batch = load_batch(number)
  if not batch or batch.token ~= token then return { 'lost' } end
  drop_lease(batch)
  save_counts()
  note_blocked(number, why)
  if get('status') ~= 'running' then
    give_back(batch, now + wait)
    return { 'publish' }
  end
  redis.call('ZADD', out, now + wait + look_after, number)
  return numbers('publish', { number, tonumber(wait) }, feed(tonumber(look_after)))
end

local call = calls[ARGV[1]]
return call(unpack(ARGV, 2))
