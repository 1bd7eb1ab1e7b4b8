-- The index of fingerprints, each with its value: a linear hash table made of small hashes.
-- Redis packs a small hash (hash-max-listpack-entries is 128) into about 15 bytes an entry instead of 70. The table grows one bucket at a
-- time, so a call moves at most one bucket, and the size need not be known in advance.
--
-- A fingerprint has eight bytes; the first three choose the bucket. `home` is the hash with the index's `width`, `split` and `size`.

local index_open, index_find, index_put, index_remove, index_close

do
  local LOAD = 45 -- average entries of a bucket; buckets not yet split hold twice as many, and some more by chance

  local function place(fingerprint)
    local first, second, third = fingerprint:byte(1, 3)
    return first + 256 * second + 65536 * third
  end

  local function bucket(index, fingerprint)
    local at = place(fingerprint)
    local number = at % index.width
    if number < index.split then number = at % (2 * index.width) end
    return index.prefix .. string.format('%d', number)
  end

  local function split_one(index)
    local from = index.prefix .. string.format('%d', index.split)
    local to = index.prefix .. string.format('%d', index.split + index.width)
    local entries = redis.call('HGETALL', from)
    local moved, gone = {}, {}
    for at = 1, #entries, 2 do
      if place(entries[at]) % (2 * index.width) ~= index.split then
        gone[#gone + 1] = entries[at]
        moved[#moved + 1] = entries[at]
        moved[#moved + 1] = entries[at + 1]
      end
    end
    if #gone > 0 then
      redis.call('HSET', to, unpack(moved))
      redis.call('HDEL', from, unpack(gone))
    end
    index.split = index.split + 1
    if index.split == index.width then
      index.width, index.split = 2 * index.width, 0
    end
  end

  function index_open(home, prefix)
    local state = redis.call('HMGET', home, 'index_width', 'index_split', 'index_size', 'index_form')
    if state[4] then error('NEWER_FORM') end
    return { home = home, prefix = prefix, width = tonumber(state[1]) or 1, split = tonumber(state[2]) or 0, size = tonumber(state[3]) or 0 }
  end

  function index_find(index, fingerprint)
    return redis.call('HGET', bucket(index, fingerprint), fingerprint)
  end

  -- Returns whether the fingerprint is new.
  function index_put(index, fingerprint, value)
    if redis.call('HSET', bucket(index, fingerprint), fingerprint, value) == 0 then return false end
    index.size = index.size + 1
    if index.size > LOAD * (index.width + index.split) then split_one(index) end
    return true
  end

  function index_remove(index, fingerprint)
    if redis.call('HDEL', bucket(index, fingerprint), fingerprint) == 0 then return false end
    index.size = index.size - 1
    return true
  end

  function index_close(index)
    redis.call('HSET', index.home, 'index_width', index.width, 'index_split', index.split, 'index_size', index.size)
  end
end
