-- Records new operations and pushes their messages. Apart from ledger.lua, so that a call defines these few functions only.
-- Python puts constants in front of it: a name for each state, and the names of redis/keys.py.
--
-- KEYS[1] the key of a record without an id   KEYS[2] the sorted set of open operations, by their next sweep
-- KEYS[3] the counts, a field per kind and state
-- ARGV[1] the new operations as JSON   ARGV[2] milliseconds until the first sweep   ARGV[3] the lifetime of their records
-- ARGV[4..] the message of each operation for its `queue`, a list in this Redis; '' if another broker takes it
--
-- Returns two lists: the number of each operation that was not recorded, with the answer and the operation, or the error; and each error of a
-- queue, with the operations whose messages it did not take.
-- redis-py repeats a call whose reply was lost. A repeated call finds the records of the first.

local prefix, due, counts = KEYS[1], KEYS[2], KEYS[3]
local look_after, lifetime = ARGV[2], ARGV[3]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- Milliseconds between the removals of old entries from an index that is in use.
local TIDIED_EVERY = 3600000

-- Adds an operation to the index of recipients, by when the index may drop it: later than its record expires.
local function index_by_recipient(index, entry, lasts)
  redis.call('ZADD', index, now + lasts, entry)
  if redis.call('PTTL', index) >= lasts then return end
  redis.call('ZREMRANGEBYSCORE', index, '-inf', now)
  redis.call('PEXPIRE', index, lasts + TIDIED_EVERY)
end

-- Returns answer, operation and the command's fingerprint; nil for a new key.
local function known_under(key)
  local found = redis.call('HMGET', key, 'operation', 'fingerprint', 'answer', 'form')
  if found[4] then error('NEWER_FORM') end
  local operation, fingerprint = found[1], found[2] or ''
  if not operation then return nil end
  if redis.call('HGET', prefix .. operation, 'state') then return { found[3] or 'existing', operation, fingerprint } end
  -- The record did not expire, it was deleted, so nothing else lets the key expire.
  if redis.call('PTTL', key) < 0 then redis.call('PEXPIRE', key, lifetime) end
  return { 'gone', operation, fingerprint }
end

local function name_by(key, id, fingerprint)
  key = IDEMPOTENCY .. key
  redis.call('HSET', key, 'operation', id, 'fingerprint', fingerprint)
  -- It may have named a command that came too late, and would expire with that record.
  if redis.call('PTTL', key) > 0 then redis.call('PERSIST', key) end
end

-- Stores the answer to a sealed command whose idempotency key names another operation.
local function remember(seal, answer, of)
  local key, record = IDEMPOTENCY .. seal, prefix .. of
  redis.call('HSET', key, 'operation', of, 'fingerprint', '', 'answer', answer)
  local left = redis.call('PTTL', record)
  if left == -1 then
    redis.call('HSET', record, 'keys', (redis.call('HGET', record, 'keys') or '') .. seal .. ' ')
  else
    redis.call('PEXPIRE', key, left > 0 and left or lifetime)
  end
end

-- Returns the answer and the operation for a command whose seal or idempotency key is known, or nil.
local function recorded_before(new, late)
  local known = new.seal ~= '' and known_under(IDEMPOTENCY .. new.seal)
  if known then return known[1], known[2] end
  known = new.key ~= '' and known_under(IDEMPOTENCY .. new.key)
  -- A command that came too late was never sent and left no fingerprint. A later command in time may use its key.
  if not known or known[3] == '' and not late then return nil end
  local answer = known[1]
  if answer == 'existing' and known[3] ~= '' and known[3] ~= new.fingerprint then answer = 'conflict' end
  if new.seal ~= '' then remember(new.seal, answer, known[2]) end
  return answer, known[2]
end

-- Returns the answer, and the operation by which the command is known. A key or an index that cannot be read raises an error before the
-- record is written. A command past its deadline is refused, or recorded without its recipient: no command, no fingerprint.
local function record(new, late)
  local operation, key, seal = prefix .. new.id, new.key, new.seal
  if redis.call('HGET', operation, 'state') then return 'existing', new.id end
  local answer, known = recorded_before(new, late)
  if answer then return answer, known end
  if late and new.refused_late then return 'past' end
  if new.index ~= '' and not late then index_by_recipient(new.index, new.entry, new.deadline - now + 2 * lifetime) end
  local fields = { 'kind', new.kind, 'state', QUEUED, 'tenant', new.tenant, 'deadline', new.deadline, 'on_unknown', new.on_unknown,
    'attempts', '0', 'lifetime', lifetime, 'created', now, 'updated', now }
  local keys = (key ~= '' and key .. ' ' or '') .. (seal ~= '' and seal .. ' ' or '')
  local function set(field, value)
    if value == '' then return end
    fields[#fields + 1] = field
    fields[#fields + 1] = value
  end
  set('application', new.application)
  set('keys', keys)
  set('redeem', new.redeem)
  set('owner', new.owner)
  set('command', late and '' or new.command)
  redis.call('HSET', operation, unpack(fields))
  if key ~= '' then name_by(key, new.id, late and '' or new.fingerprint) end
  if seal ~= '' then name_by(seal, new.id, '') end
  return 'recorded'
end

-- Returns the list under a key, which it makes if there is none.
local function list_of(lists, key)
  lists[key] = lists[key] or {}
  return lists[key]
end

local answers, sweeps, counted, kids, messages, named = {}, {}, {}, {}, {}, {}
for number, new in ipairs(cjson.decode(ARGV[1])) do
  local late = new.deadline <= now
  local read, answer, known = pcall(record, new, late)
  if not read then
    answers[#answers + 1] = { number, 'error', type(answer) == 'table' and answer.err or answer }
  elseif answer ~= 'recorded' then
    answers[#answers + 1] = { number, answer, known }
  else
    sweeps[#sweeps + 1] = late and now or now + look_after
    sweeps[#sweeps + 1] = new.id
    counted[new.kind] = (counted[new.kind] or 0) + 1
    if not late and new.kid ~= '' then kids[new.kid] = true end
    if new.queue ~= '' then
      table.insert(list_of(messages, new.queue), ARGV[3 + number])
      table.insert(list_of(named, new.queue), new.id)
    end
  end
end
for kind, more in pairs(counted) do redis.call('HINCRBY', counts, kind .. ':' .. QUEUED, more) end
for kid in pairs(kids) do redis.call('HSET', KIDS, kid, now) end
if #sweeps > 0 then redis.call('ZADD', due, unpack(sweeps)) end

local refused = {}
for queue, texts in pairs(messages) do
  local pushed = redis.pcall('LPUSH', queue, unpack(texts))
  if type(pushed) == 'table' then refused[#refused + 1] = { pushed.err, unpack(named[queue]) } end
end
return { answers, refused }
