-- The calls of operators, imports and the reconciler on a campaign. ARGV[1] the call   ARGV[2..] its arguments

local calls = {}

local function conflict(status)
  return { 'conflict', status }
end

-- ARGV: the id of the key that sealed the authParams ('' for none), then fields and values of the record
-- If the campaign exists, returns its options, for the caller to compare.
function calls.create(kid, ...)
  if get('status') then return { 'exists', get('options'), get('asked') or '', get('auth_params') or '' } end
  for _, name in pairs(NAME) do redis.call('HSET', campaign, name, 0) end
  redis.call('HSET', campaign, 'status', 'draft', 'created', now, 'updated', now, 'total', 0, 'batches', 0, 'next', 0, ...)
  if kid ~= '' then redis.call('HSET', KIDS, kid, now) end
  redis.call('ZADD', CAMPAIGNS, now, campaign)
  return { 'created' }
end

-- ARGV: fingerprints. Returns '1' for a known one and '0' for a new one, in order.
function calls.probe(fingerprints)
  local index = index_open(campaign, campaign .. INDEX_KEY)
  local known = {}
  for at = 1, #fingerprints, 8 do
    known[#known + 1] = index_find(index, fingerprints:sub(at, at + 7)) and '1' or '0'
  end
  return { 'probed', table.concat(known) }
end

-- ARGV: a fingerprint. Returns the number of the recipient, or nil.
function calls.find(fingerprint)
  return { 'found', index_find(index_open(campaign, campaign .. INDEX_KEY), fingerprint) }
end

-- ARGV: fingerprints. Returns the letter of each recipient's state in order, '-' for one that the campaign does not have.
function calls.states(fingerprints)
  local index = index_open(campaign, campaign .. INDEX_KEY)
  local batches, found = {}, {}
  for at = 1, #fingerprints, 8 do
    local number = index_find(index, fingerprints:sub(at, at + 7))
    local state = ''
    if number then
      local batch, row = math.floor(number / 256), number % 256 + 1
      batches[batch] = batches[batch] or redis.call('HGET', batch_key(batch), 'states') or ''
      state = batches[batch]:sub(row, row)
    end
    found[#found + 1] = state == '' and '-' or state
  end
  return { 'states', table.concat(found) }
end

-- ARGV: the fingerprint of a file. Notes that the campaign got its rows.
function calls.note_file(fingerprint)
  if not get('status') then return { 'missing' } end
  redis.call('HSETNX', campaign, FILE_FIELD .. fingerprint, now)
  return { 'done' }
end

-- ARGV: the batch's number, its sealed rows, their fingerprints, the id of the key that sealed them
-- Adds the whole batch or nothing. Returns 'taken' if another import has used the number, 'known' if it has added one of these recipients.
function calls.append(number, rows, fingerprints, kid)
  number = tonumber(number)
  local status = get('status')
  if not status then return { 'missing' } end
  if redis.call('HGET', batch_key(number), 'rows') == rows then return { 'added', status } end
  if status == 'cancelling' or status == 'cancelled' or status == 'deleting' then return conflict(status) end
  local batches = tonumber(get('batches'))
  if batches ~= number then return { 'taken', batches } end
  local index = index_open(campaign, campaign .. INDEX_KEY)
  for at = 1, #fingerprints, 8 do
    if index_find(index, fingerprints:sub(at, at + 7)) then return { 'known', batches } end
  end
  local size = #fingerprints / 8
  local first = number * 256
  for row = 0, size - 1 do index_put(index, fingerprints:sub(row * 8 + 1, row * 8 + 8), string.format('%d', first + row)) end
  index_close(index)
  redis.call('HSET', batch_key(number), 'rows', rows, 'states', string.rep(QUEUED, size))
  if kid ~= '' then redis.call('HSET', KIDS, kid, now) end
  redis.call('HINCRBY', campaign, 'total', size)
  redis.call('HINCRBY', campaign, NAME[QUEUED], size)
  redis.call('HSET', campaign, 'batches', number + 1, 'updated', now)
  if status == 'finished' then go_on() end
  return { 'added', get('status') }
end

-- ARGV: the earliest time to send ('' for now)
function calls.start(rests_until)
  local status = get('status')
  if not status then return { 'missing' } end
  if status ~= 'draft' then return status == 'running' and { 'done' } or conflict(status) end
  go_on()
  if rests_until ~= '' then redis.call('HSET', campaign, 'rests_until', rests_until) end
  end_if_done()
  return { 'done' }
end

function calls.pause()
  local status = get('status')
  if not status then return { 'missing' } end
  if status ~= 'running' then return status == 'paused' and { 'done' } or conflict(status) end
  pause('by_operator', 0)
  return { 'done' }
end

-- ARGV: the earliest time to send ('' for now), the campaign's new application ('' for no change)
function calls.resume(rests_until, application)
  local status = get('status')
  if not status then return { 'missing' } end
  if application ~= '' and status ~= 'deleting' then
    redis.call('HSET', campaign, 'application', application, 'updated', now)
    redis.call('DEL', blocked)
    -- Afterwards a draft can be started, and an ended campaign can take recipients.
    if status ~= 'paused' then return { 'done' } end
  end
  if status ~= 'paused' then return status == 'running' and { 'done' } or conflict(status) end
  go_on()
  if rests_until ~= '' then redis.call('HSET', campaign, 'rests_until', rests_until) end
  end_if_done()
  return { 'done' }
end

-- From now on no row begins. `close` ends the rows page by page.
function calls.cancel()
  local status = get('status')
  if not status then return { 'missing' } end
  if status == 'finished' or status == 'deleting' then return conflict(status) end
  if status ~= 'cancelling' and status ~= 'cancelled' then
    redis.call('HDEL', campaign, 'pause_reason', 'pause_cause')
    redis.call('SADD', ACTIVE, campaign)
    set_status('cancelling')
  end
  return { 'done' }
end

function calls.clock()
  return { 'clock', now }
end

-- ARGV: the options as they were read, the new options, then fields and values that repeat them ('' for none)
-- Returns 'changed' if the options are no longer those read. A repeated call finds its own options and succeeds.
function calls.change(before, options, ...)
  local status = get('status')
  if not status then return { 'missing' } end
  if status == 'deleting' then return conflict(status) end
  local stored = get('options')
  if stored == options then return { 'done' } end
  if stored ~= before then return { 'changed' } end
  redis.call('HSET', campaign, 'options', options, 'updated', now, ...)
  return { 'done' }
end

local function why_closing()
  local found = redis.call('HMGET', campaign, 'status', 'deadline')
  local deadline = tonumber(found[2])
  if found[1] == 'cancelling' or found[1] == 'cancelled' then return CANCELLED end
  if deadline and now >= deadline and (found[1] == 'running' or found[1] == 'paused') then return EXPIRED end
end

-- ARGV: the first batch, how many. Ends the rows without an attempt if the campaign is cancelled or past its deadline.
function calls.close(from, size)
  local to = why_closing()
  if not to then return { 'open' } end
  local batches = tonumber(get('batches'))
  local last = math.min(from + size, batches) - 1
  local closed = 0
  for number = tonumber(from), last do
    local batch = load_batch(number)
    if batch and batch.states:find(WAITING) then
      closed = closed + close_rows(batch, to)
      save_batch(batch)
      if not batch.token then give_back(batch, now) end
    end
  end
  save_counts()
  if last + 1 >= batches then end_if_done() end
  return { 'closed', closed, last + 1, batches }
end

-- ARGV: a token for this page, the first batch, how many, states (bytes), reasons (codes as bytes, '' for all), '1' to only count
-- A finished or cancelled campaign runs again if a row matches.
function calls.retry(token, from, size, states, reasons, dry_run)
  local status = get('status')
  if not status then return { 'missing' } end
  if status == 'cancelling' or status == 'deleting' then return conflict(status) end
  if get('retry_token') == token then return cjson.decode(get('retry_reply')) end
  local found = redis.call('HMGET', campaign, 'batches', 'next')
  local batches, next_batch = tonumber(found[1]), tonumber(found[2])
  local last = math.min(from + size, batches) - 1
  local matched, total = {}, 0
  for number = tonumber(from), last do
    local batch = load_batch(number)
    local before = total
    for at = 1, batch and #states or 0 do
      local state = states:sub(at, at)
      local row = batch.states:find(state, 1, true)
      while row do
        local _, record = find_record(batch, row - 1)
        local reason = record and record:byte(2) or 0
        if reason == 0 then reason = IMPLIED[state] or 0 end
        if reasons == '' or reasons:find(string.char(reason), 1, true) then
          local doubt = DOUBT[reason] and record_of(row - 1, reason, 0) or nil
          matched[state] = (matched[state] or 0) + 1
          total = total + 1
          if dry_run ~= '1' then change(batch, row - 1, QUEUED, doubt) end
        end
        row = batch.states:find(state, row + 1, true)
      end
    end
    if total > before and dry_run ~= '1' then
      save_batch(batch)
      -- The worker with the lease has not screened these rows, so they wait for the next claim.
      if batch.token and batch.lease > now then redis.call('HSET', batch_key(number), 'retried', 1) end
      if number < next_batch and not redis.call('ZSCORE', out, number) then redis.call('ZADD', waiting, now, number) end
    end
  end
  save_counts()
  if total > 0 and dry_run ~= '1' then
    if status == 'finished' or status == 'cancelled' then go_on() else new_baseline() end
  end
  local reply = { 'retried', last + 1, batches }
  for state, times in pairs(matched) do
    reply[#reply + 1] = state
    reply[#reply + 1] = times
  end
  redis.call('HSET', campaign, 'retry_token', token, 'retry_reply', cjson.encode(reply))
  return reply
end

-- ARGV: most batches to check. Finds batches with a lost lease or a lost message.
function calls.sweep(most)
  local status = get('status')
  if not status then
    redis.call('SREM', ACTIVE, campaign)
    return { 'missing', 0, 0 }
  end
  local due = redis.call('ZRANGE', out, '-inf', now, 'BYSCORE', 'LIMIT', 0, most)
  local lost = 0
  for _, number in ipairs(due) do
    local batch = load_batch(tonumber(number))
    if not batch then
      redis.call('ZREM', out, number)
      redis.call('ZREM', held, number)
      note_blocked(number, GONE)
    elseif batch.token and batch.lease > now then
      redis.call('ZADD', out, batch.lease, number)
    else
      if batch.token then
        lost = lost + give_up_lost(batch)
        save_batch(batch)
        drop_lease(batch, true)
      end
      give_back(batch, now)
    end
  end
  save_counts()
  end_if_done()
  return { get('status'), #due, lost, why_closing() or '' }
end

-- ARGV: milliseconds until the next check
function calls.feed(look_after)
  return numbers('publish', feed(tonumber(look_after)))
end

-- Afterwards no worker takes a batch, so `erase` can delete the keys page by page.
function calls.delete()
  local status = get('status')
  if not status then return { 'missing' } end
  if status == 'running' or status == 'cancelling' then return conflict(status) end
  if redis.call('EXISTS', out) == 1 then
    for _, number in ipairs(redis.call('ZRANGE', out, 0, -1)) do
      local leased = redis.call('HMGET', batch_key(tonumber(number)), 'token', 'lease')
      if leased[1] and tonumber(leased[2]) > now then return { 'busy' } end
    end
  end
  redis.call('SREM', ACTIVE, campaign)
  set_status('deleting')
  return { 'done' }
end

-- ARGV: the first batch and bucket, how many of each. Gives whether there may be more.
function calls.erase(from, size)
  local found = redis.call('HMGET', campaign, 'status', 'batches', 'index_width', 'index_split')
  if not found[1] then return { 'erased' } end
  if found[1] ~= 'deleting' then return conflict(found[1]) end
  local batches, buckets = tonumber(found[2]), (tonumber(found[3]) or 1) + (tonumber(found[4]) or 0)
  local last = from + size - 1
  for number = tonumber(from), last do
    if number < batches then redis.call('UNLINK', batch_key(number)) end
    if number < buckets then redis.call('UNLINK', campaign .. INDEX_KEY .. string.format('%d', number)) end
  end
  if last + 1 < math.max(batches, buckets) then return { 'more', last + 1 } end
  redis.call('UNLINK', campaign, out, waiting, blocked, held)
  redis.call('ZREM', CAMPAIGNS, campaign)
  return { 'erased' }
end

-- ARGV: the batch's number, the row, its fingerprint, the sealed rows as they were read, the same without the person, their key's id
-- A row without an attempt is suppressed. A row with an attempt under way stays, and the caller asks again.
function calls.forget(number, row, fingerprint, before, after, kid)
  number, row = tonumber(number), tonumber(row)
  if not get('status') then return { 'missing' } end
  local index = index_open(campaign, campaign .. INDEX_KEY)
  local batch = load_batch(number)
  if not batch or index_find(index, fingerprint) ~= string.format('%d', number * 256 + row) then return { 'gone' } end
  if redis.call('HGET', batch_key(number), 'rows') ~= before then return { 'changed' } end
  local state = batch.states:sub(row + 1, row + 1)
  if state == IN_FLIGHT then return { 'in_flight' } end
  local open = state:find(WAITING) ~= nil
  if open then
    local _, old = find_record(batch, row)
    end_row(batch, row, SUPPRESSED, old, record_of(row, CODE.on_suppression_list, attempts_of(old)))
    save_batch(batch)
    save_counts()
  end
  redis.call('HSET', batch_key(number), 'rows', after)
  if kid ~= '' then redis.call('HSET', KIDS, kid, now) end
  index_remove(index, fingerprint)
  index_close(index)
  redis.call('HINCRBY', campaign, 'erased', 1)
  end_if_done()
  return { open and 'suppressed' or 'forgotten' }
end

local call = calls[ARGV[1]]
return call(unpack(ARGV, 2))
