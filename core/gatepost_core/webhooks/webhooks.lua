-- The endpoints of webhooks and the delivery of events to them. ARGV[1] the call   ARGV[2..] its arguments
-- Python puts the names of redis/keys.py in front, the clock (`now_us`) and redis/outbox.lua.
--
-- WEBHOOK_EVENTS      the events, a stream: v, type, at, data, and `to` for the test of one endpoint
-- WEBHOOK_KEY ID      an endpoint: sealed (URL and secrets), types, status, cursor (the last event that it has taken from the stream),
--                     read (how many events of the stream lie before that), and the results of its deliveries
-- WEBHOOK_DUE ID      its events that were taken and not delivered, by when each is due
-- WEBHOOK_ATTEMPTS ID these events' attempts and the time of the first
-- An event under way is due again when its lease ends, so a crash repeats it with the same id.

local now = math.floor(now_us / 1000)
local LEASE_OF_QUEUE = 120000 -- a message on the queue is looked for again after this time
local MOST_ENDPOINTS = 20
local PAGE = 200
local calls = {}

local function record_of(id)
  return WEBHOOK_KEY .. id
end

local function each_endpoint()
  return ipairs(redis.call('ZRANGE', WEBHOOKS, 0, -1))
end

local function subscribe_again()
  redis.call('DEL', WEBHOOK_TYPES)
  for _, id in each_endpoint() do
    for type in (redis.call('HGET', record_of(id), 'types') or ''):gmatch('%S+') do redis.call('SADD', WEBHOOK_TYPES, type) end
  end
end

-- Returns the last id of the stream, the number of events that were trimmed, and of those that were ever added.
local function stream()
  if redis.call('EXISTS', WEBHOOK_EVENTS) == 0 then return '0-0', 0, 0 end
  local info, found = redis.call('XINFO', 'STREAM', WEBHOOK_EVENTS), {}
  for at = 1, #info, 2 do found[info[at]] = info[at + 1] end
  return found['last-generated-id'], found['entries-added'] - found['length'], found['entries-added']
end

local function fields_of(entry)
  local fields = {}
  for at = 1, #entry[2], 2 do fields[entry[2][at]] = entry[2][at + 1] end
  return fields
end

-- Endpoints ---------------------------------------------------------------------------------------------------------

-- ARGV: the endpoint's id, its key's id, a source for a first endpoint, then fields and values
function calls.add(id, kid, source, ...)
  if redis.call('ZSCORE', WEBHOOKS, id) then return { 'added' } end
  if redis.call('ZCARD', WEBHOOKS) >= MOST_ENDPOINTS then return { 'full', MOST_ENDPOINTS } end
  redis.call('SET', WEBHOOK_SOURCE, source, 'NX')
  local last, _, added = stream()
  redis.call('HSET', record_of(id), 'status', 'enabled', 'created', now, 'cursor', last, 'read', added, ...)
  redis.call('ZADD', WEBHOOKS, now, id)
  redis.call('HSET', KIDS, kid, now)
  subscribe_again()
  return { 'added' }
end

function calls.remove(id)
  local removed = redis.call('ZREM', WEBHOOKS, id)
  redis.call('DEL', record_of(id), WEBHOOK_DUE .. id, WEBHOOK_ATTEMPTS .. id)
  subscribe_again()
  if redis.call('ZCARD', WEBHOOKS) == 0 then redis.call('DEL', WEBHOOK_EVENTS, WEBHOOK_SOURCE) end
  return { removed }
end

-- ARGV: the id, the sealed value as it was read, the new one, its key's id
function calls.reseal(id, before, after, kid)
  local found = redis.call('HGET', record_of(id), 'sealed')
  if found == after then return { 1 } end
  if found ~= before then return { 0 } end
  redis.call('HSET', record_of(id), 'sealed', after)
  redis.call('HSET', KIDS, kid, now)
  return { 1 }
end

-- Its events are due at once, with a new schedule.
function calls.enable(id)
  if redis.call('EXISTS', record_of(id)) == 0 then return { 0 } end
  redis.call('HSET', record_of(id), 'status', 'enabled')
  redis.call('HDEL', record_of(id), 'disabled_reason', 'disabled_at', 'failing_since', 'failures', 'not_before', 'queued_until',
    'lost', 'given_up')
  redis.call('DEL', WEBHOOK_ATTEMPTS .. id)
  for _, event in ipairs(redis.call('ZRANGE', WEBHOOK_DUE .. id, 0, -1)) do redis.call('ZADD', WEBHOOK_DUE .. id, now, event) end
  return { 1 }
end

function calls.disable(id, reason)
  if redis.call('EXISTS', record_of(id)) == 0 then return { 0 } end
  redis.call('HSET', record_of(id), 'status', 'disabled', 'disabled_reason', reason, 'disabled_at', now)
  return { 1 }
end

-- Events ------------------------------------------------------------------------------------------------------------

-- Records an event for one endpoint. It does not wait behind the others.
function calls.test(id, type, data)
  local last = stream()
  local event = redis.call('XADD', WEBHOOK_EVENTS, 'MAXLEN', '~', MOST_EVENTS, '*', 'v', 1, 'type', type, 'at', string.format('%d', now),
    'data', data, 'to', id)
  redis.call('ZADD', WEBHOOK_DUE .. id, now, event)
  -- So that it does not also count as an event that is still to be looked at.
  if redis.call('HGET', record_of(id), 'cursor') == last then
    redis.call('HSET', record_of(id), 'cursor', event)
    redis.call('HINCRBY', record_of(id), 'read', 1)
  end
  return { event }
end

local function is_for(id, types, fields)
  if fields.to then return fields.to == id end
  return types:find(' ' .. (fields.type or '') .. ' ', 1, true) ~= nil
end

-- ARGV: the id, the first and the last event, '1' to only count. Returns the number, and where to continue, if anywhere.
-- Events that the endpoint has not taken yet are delivered anyway.
function calls.replay(id, from, to, dry_run)
  local found = redis.call('HMGET', record_of(id), 'types', 'cursor')
  if not found[1] then return { 'missing' } end
  local chosen, last = 0, nil
  local read = redis.call('XRANGE', WEBHOOK_EVENTS, from, to, 'COUNT', PAGE)
  local unread = redis.call('XRANGE', WEBHOOK_EVENTS, '(' .. found[2], '+', 'COUNT', 1)[1]
  for _, entry in ipairs(read) do
    if unread and entry[1] == unread[1] then return { 'chosen', chosen } end
    local fields = fields_of(entry)
    if not fields.to and is_for(id, found[1], fields) then
      chosen = chosen + 1
      if dry_run ~= '1' then
        redis.call('ZADD', WEBHOOK_DUE .. id, now, entry[1])
        redis.call('HDEL', WEBHOOK_ATTEMPTS .. id, entry[1])
      end
    end
    last = entry[1]
  end
  return { 'chosen', chosen, #read == PAGE and '(' .. last or nil }
end

-- Delivery ----------------------------------------------------------------------------------------------------------

-- Notes the events that were trimmed from the stream before an endpoint took them. Returns their number.
local function note_lost(id, first_unread, trimmed)
  local lost = trimmed - (tonumber(first_unread) or 0)
  if lost <= 0 then return 0 end
  redis.call('HSET', record_of(id), 'read', trimmed)
  redis.call('HINCRBY', record_of(id), 'lost', lost)
  return lost
end

local function has_work(id, cursor, last)
  return cursor ~= last or #redis.call('ZRANGE', WEBHOOK_DUE .. id, '-inf', now, 'BYSCORE', 'LIMIT', 0, 1) > 0
end

-- ARGV: the age in milliseconds at which events are dropped
-- Returns the endpoints that need a message on the queue, and each endpoint that lost events with their number.
function calls.plan(oldest)
  local queue, losses = {}, {}
  if redis.call('EXISTS', WEBHOOKS) == 0 then return { queue, losses } end
  if redis.call('EXISTS', WEBHOOK_EVENTS) == 1 then
    redis.call('XTRIM', WEBHOOK_EVENTS, 'MINID', string.format('%d', now - oldest))
  end
  local last, trimmed = stream()
  for _, id in each_endpoint() do
    local found = redis.call('HMGET', record_of(id), 'status', 'cursor', 'read', 'not_before', 'queued_until')
    local lost = note_lost(id, found[3], trimmed)
    if lost > 0 then
      losses[#losses + 1] = id
      losses[#losses + 1] = lost
    end
    local waits = math.max(tonumber(found[4]) or 0, tonumber(found[5]) or 0) > now
    if found[1] == 'enabled' and not waits and has_work(id, found[2], last) then
      redis.call('HSET', record_of(id), 'queued_until', now + LEASE_OF_QUEUE)
      queue[#queue + 1] = id
    end
  end
  return { queue, losses }
end

-- Hands out an event for an attempt, which ends before its lease.
local function hand_out(id, entry, lease)
  local fields = fields_of(entry)
  local tried = redis.call('HGET', WEBHOOK_ATTEMPTS .. id, entry[1]) or ('0 ' .. string.format('%d', now))
  local attempts, first = tried:match('(%d+) (%d+)')
  redis.call('HSET', WEBHOOK_ATTEMPTS .. id, entry[1], string.format('%d %s', attempts + 1, first))
  redis.call('ZADD', WEBHOOK_DUE .. id, now + lease, entry[1])
  local found = redis.call('HMGET', record_of(id), 'sealed', 'failing_since', 'failures')
  return { 'event', entry[1], fields.v or '', fields.type or '', fields.at or '0', fields.data or '{}', attempts + 1, first, now,
    found[1], found[2] or '', found[3] or '0', redis.call('GET', WEBHOOK_SOURCE) or '' }
end

local function take_due(id, lease)
  for _, event in ipairs(redis.call('ZRANGE', WEBHOOK_DUE .. id, '-inf', now, 'BYSCORE', 'LIMIT', 0, PAGE)) do
    local entry = redis.call('XRANGE', WEBHOOK_EVENTS, event, event)[1]
    if entry then return hand_out(id, entry, lease) end
    redis.call('ZREM', WEBHOOK_DUE .. id, event)
    redis.call('HDEL', WEBHOOK_ATTEMPTS .. id, event)
    redis.call('HINCRBY', record_of(id), 'lost', 1)
  end
end

local function take_new(id, types, cursor, lease)
  local read = redis.call('XRANGE', WEBHOOK_EVENTS, '(' .. cursor, '+', 'COUNT', PAGE)
  for at, entry in ipairs(read) do
    local fields = fields_of(entry)
    if not fields.to and is_for(id, types, fields) then
      redis.call('HSET', record_of(id), 'cursor', entry[1])
      redis.call('HINCRBY', record_of(id), 'read', at)
      return hand_out(id, entry, lease)
    end
  end
  if #read == 0 then return { 'nothing' } end
  redis.call('HSET', record_of(id), 'cursor', read[#read][1])
  redis.call('HINCRBY', record_of(id), 'read', #read)
  return { 'again' }
end

-- ARGV: the id, the lease in milliseconds. Returns an event that is due, or why there is none.
function calls.take(id, lease)
  local found = redis.call('HMGET', record_of(id), 'status', 'not_before', 'cursor', 'types', 'read')
  if found[1] ~= 'enabled' or (tonumber(found[2]) or 0) > now then return { 'nothing' } end
  local _, trimmed = stream()
  note_lost(id, found[5], trimmed)
  return take_due(id, lease) or take_new(id, found[4], found[3], lease)
end

function calls.delivered(id, event)
  redis.call('HDEL', WEBHOOK_ATTEMPTS .. id, event)
  if redis.call('ZREM', WEBHOOK_DUE .. id, event) == 0 then return { 0 } end
  redis.call('HINCRBY', record_of(id), 'delivered', 1)
  redis.call('HSET', record_of(id), 'last_success', now)
  redis.call('HDEL', record_of(id), 'failing_since', 'failures', 'not_before')
  return { 1 }
end

-- ARGV: the id, the event, milliseconds until the next attempt ('' for none), milliseconds in which the endpoint gets nothing, the failure
function calls.failed(id, event, wait, pause, failure)
  if redis.call('ZSCORE', WEBHOOK_DUE .. id, event) == false then return { 0 } end
  if wait == '' then
    redis.call('ZREM', WEBHOOK_DUE .. id, event)
    redis.call('HDEL', WEBHOOK_ATTEMPTS .. id, event)
    redis.call('HINCRBY', record_of(id), 'given_up', 1)
  else
    redis.call('ZADD', WEBHOOK_DUE .. id, now + wait, event)
  end
  redis.call('HINCRBY', record_of(id), 'failures', 1)
  redis.call('HSETNX', record_of(id), 'failing_since', now)
  redis.call('HSET', record_of(id), 'last_failure', failure, 'last_failed', now)
  if tonumber(pause) > 0 then redis.call('HSET', record_of(id), 'not_before', now + pause) end
  return { 1 }
end

-- ARGV: the id, the longest delay of a message in milliseconds
-- Ends a task's run. Returns milliseconds until the endpoint needs the next message, or -1 if the next plan finds it.
function calls.rest(id, most)
  local found = redis.call('HMGET', record_of(id), 'status', 'cursor', 'not_before')
  redis.call('HDEL', record_of(id), 'queued_until')
  if found[1] ~= 'enabled' then return { -1 } end
  local pause = math.max(0, (tonumber(found[3]) or 0) - now)
  local due = redis.call('ZRANGE', WEBHOOK_DUE .. id, 0, 0, 'WITHSCORES')
  local wait = found[2] ~= (stream()) and 0 or due[2] and math.max(0, due[2] - now)
  wait = wait and math.ceil(math.max(wait, pause))
  if not wait or wait > tonumber(most) then return { -1 } end
  redis.call('HSET', record_of(id), 'queued_until', now + wait + LEASE_OF_QUEUE)
  return { wait }
end

-- Returns, for each endpoint, how many events wait and the oldest of them.
function calls.backlog()
  local _, _, added = stream()
  local reply = {}
  for _, id in each_endpoint() do
    local found = redis.call('HMGET', record_of(id), 'cursor', 'read')
    local unread = redis.call('XRANGE', WEBHOOK_EVENTS, '(' .. (found[1] or '0-0'), '+', 'COUNT', 1)[1]
    local oldest = unread and unread[1] or ''
    for _, event in ipairs(redis.call('ZRANGE', WEBHOOK_DUE .. id, 0, PAGE)) do
      local at = tonumber(event:match('^%d+'))
      if oldest == '' or at < tonumber(oldest:match('^%d+')) then oldest = event end
    end
    local waiting = redis.call('ZCARD', WEBHOOK_DUE .. id) + (unread and math.max(1, added - (tonumber(found[2]) or 0)) or 0)
    reply[#reply + 1] = { id, waiting, oldest }
  end
  return { now, reply }
end

return calls[ARGV[1]](unpack(ARGV, 2))
