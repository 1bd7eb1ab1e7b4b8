-- Repairs of a campaign. ARGV[1] the call   ARGV[2..] its arguments

local calls = {}

local function conflict(status)
  return { 'conflict', status }
end

-- A restored backup -------------------------------------------------------------------------------------------------

local function recover_rows(batch)
  local ended = 0
  if batch.details == '' then
    for from in OPEN:gmatch('%a') do
      local states, times = batch.states:gsub(from, UNKNOWN)
      batch.states = states
      count(NAME[from], -times)
      ended = ended + times
    end
    count(NAME[UNKNOWN], ended)
    return ended
  end
  local row = batch.states:find(OPEN)
  while row do
    local _, old = find_record(batch, row - 1)
    change(batch, row - 1, UNKNOWN, old and (in_doubt(old) or record_of(row - 1, CODE.backup_restored, attempts_of(old))))
    ended = ended + 1
    row = batch.states:find(OPEN, row)
  end
  return ended
end

-- ARGV: the first batch, how many, '1' if its open rows were not sent. Pauses a campaign of a restored backup, and ends as `unknown` the rows
-- that may have been sent since the backup. No worker is running.
function calls.recover(from, size, keep)
  local found = redis.call('HMGET', campaign, 'status', 'batches', 'total')
  local status, batches = found[1], tonumber(found[2])
  if not status then return { 'missing' } end
  local over = status == 'finished' or status == 'cancelled' or status == 'deleting'
  if over or status == 'draft' and (keep == '1' or found[3] == '0') then return { 'recovered', 0, batches, batches } end
  if status ~= 'cancelling' then
    redis.call('HDEL', campaign, 'rests_until')
    redis.call('HSET', campaign, 'pause_reason', 'backup_restored', 'pause_cause', 0)
    if status ~= 'paused' then set_status('paused') end
  end
  local last = math.min(from + size, batches) - 1
  local ended = 0
  for number = tonumber(from), keep == '1' and -1 or last do
    local batch = load_batch(number)
    if batch then
      ended = ended + recover_rows(batch)
      save_batch(batch)
      drop_lease(batch)
      redis.call('ZREM', out, number)
      redis.call('ZREM', waiting, number)
    end
  end
  save_counts()
  return { 'recovered', ended, keep == '1' and batches or last + 1, batches }
end

-- Counts that do not add up -----------------------------------------------------------------------------------------

-- Every change of a row's state changes one of these fields.
local function counted_now()
  local fields = { 'status', 'total', 'batches', 'next', 'erased', 'retry_token' }
  for _, name in pairs(NAME) do fields[#fields + 1] = name end
  table.sort(fields)
  local found = redis.call('HMGET', campaign, unpack(fields))
  for at, value in ipairs(found) do found[at] = tostring(value) end
  return table.concat(found, ' ')
end

-- Returns the counts before the first page, for the last step to compare.
function calls.recount_begin()
  local status = get('status')
  if not status then return { 'missing' } end
  -- One that is cancelled ends by its counts, so wrong ones can keep it open. `recount_end` sees a change meanwhile.
  if status == 'running' or status == 'deleting' then return conflict(status) end
  return { 'begun', counted_now() }
end

local function count_batch(batch, found)
  for state in batch.states:gmatch('.') do
    local name = NAME[state] or 'unreadable'
    found[name] = (found[name] or 0) + 1
  end
  for at = 1, #batch.details - RECORD_BYTES + 1, RECORD_BYTES do
    local row, reason = batch.details:byte(at, at + 1)
    local state = batch.states:sub(row + 1, row + 1)
    if TERMINAL[state] and reason ~= 0 then
      local field = 'reason:' .. NAME[state] .. ':' .. reason
      found[field] = (found[field] or 0) + 1
    end
  end
end

-- Puts back a batch with open rows that nothing would publish, because the campaign had ended by its wrong counts.
local function put_back(batch)
  local number = batch.number
  if not is_open(batch) or number >= (tonumber(get('next')) or 0) then return end
  if redis.call('ZSCORE', out, number) or redis.call('ZSCORE', waiting, number) then return end
  redis.call('ZADD', waiting, now, number)
end

-- ARGV: the first batch, how many. Counts the rows of a page, and ends its expired leases.
function calls.recount_page(from, size)
  local batches = tonumber(get('batches')) or 0
  local found, gone, number = { total = 0 }, {}, tonumber(from)
  local after = number + size
  while number < after do
    local batch = load_batch(number)
    if not batch and number >= batches then return { 'counted', 0, number, cjson.encode(found), cjson.encode(gone) } end
    if batch then
      if batch.token and batch.lease > now then return { 'busy' } end
      if give_up_lost(batch) > 0 then save_batch(batch) end
      if batch.token then drop_lease(batch) end
      count_batch(batch, found)
      found.total = found.total + #batch.states
      put_back(batch)
    else
      gone[#gone + 1] = number
    end
    number = number + 1
  end
  return { 'counted', 1, number, cjson.encode(found), cjson.encode(gone) }
end

-- ARGV: the counts before the first page, the number of batches, the new counts, the missing batches
function calls.recount_end(before, batches, counts, gone)
  if counted_now() ~= before then return { 'changed' } end
  counts = cjson.decode(counts)
  for _, field in ipairs(redis.call('HKEYS', campaign)) do
    if field:sub(1, 7) == 'reason:' then redis.call('HDEL', campaign, field) end
  end
  for _, name in pairs(NAME) do counts[name] = counts[name] or 0 end
  counts.unreadable = nil
  for field, number in pairs(counts) do redis.call('HSET', campaign, field, string.format('%d', number)) end
  redis.call('HSET', campaign, 'batches', batches, 'updated', now, 'next', math.min(tonumber(get('next')) or 0, batches))
  redis.call('DEL', blocked, held) -- no batch is leased, or a page would have been busy
  for _, number in ipairs(cjson.decode(gone)) do note_blocked(number, GONE) end
  new_baseline()
  local status, open = get('status'), 0
  for _, field in ipairs(OPEN_FIELDS) do open = open + counts[field] end
  if open > 0 and (status == 'finished' or status == 'cancelled') then
    redis.call('HDEL', campaign, 'ended')
    redis.call('SADD', ACTIVE, campaign)
    if status == 'finished' then redis.call('HSET', campaign, 'pause_reason', 'by_operator', 'pause_cause', 0) end
    set_status(status == 'finished' and 'paused' or 'cancelling')
  else
    end_if_done()
    status = get('status')
    -- The counts are without the missing batches, and nothing is left to send.
    if status == 'finished' or status == 'cancelled' then redis.call('DEL', blocked) end
  end
  return { 'done' }
end

local call = calls[ARGV[1]]
return call(unpack(ARGV, 2))
