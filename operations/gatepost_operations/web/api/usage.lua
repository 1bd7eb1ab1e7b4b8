-- Counts the use of an API key within one hour, in a hash that expires after it.
-- KEYS[1] the hash   KEYS[2..] the names of the items' idempotency keys
-- ARGV[1] seconds until the hash expires   ARGV[2] the field of the API key
-- ARGV[3] the items as JSON: for each, which of KEYS is its idempotency key (0 for none), and a list of fields and the most that each may count
-- ARGV[4] 1 to count nothing after the first item that is refused
-- Returns the count of the API key, and for each item 0, or the number of the first field that is full.
-- An item whose idempotency key is known counts nothing: it is a repetition.

local counts = KEYS[1]
local answers, ended = {}, false
for number, item in ipairs(cjson.decode(ARGV[3])) do
  local full = 0
  local name, limits = KEYS[item[1]], item[2]
  -- A command that came too late left no fingerprint; a later one may use its key.
  local known = name and (redis.call('HGET', name, 'fingerprint') or '') ~= ''
  if not known and not ended then
    for place, limit in ipairs(limits) do
      if full == 0 and tonumber(redis.call('HGET', counts, limit[1]) or 0) + 1 > limit[2] then full = place end
    end
    if full == 0 then
      for _, limit in ipairs(limits) do redis.call('HINCRBY', counts, limit[1], 1) end
    end
  end
  answers[number] = full
  ended = ended or (full > 0 and ARGV[4] == '1')
end
redis.call('EXPIRE', counts, ARGV[1])
return { tonumber(redis.call('HGET', counts, ARGV[2]) or 0), answers }
