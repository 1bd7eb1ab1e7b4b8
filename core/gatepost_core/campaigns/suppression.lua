-- The suppression list of all campaigns. KEYS[1] its record   ARGV[1] the call   ARGV[2..] its arguments

local home = KEYS[1]
-- The code of this reason, in an entry's first byte.
local ERASED = 5
local calls = {}

-- An erasure and a longer entry are kept; only `remove` removes them.
local function is_weaker(value, known)
  local expires, lasts = struct.unpack('<I4', value, 6), struct.unpack('<I4', known, 6)
  return known:byte(1) == ERASED or (expires ~= 0 and (lasts == 0 or lasts > expires))
end

-- ARGV: fingerprints, their value. Returns how many are new.
function calls.add(fingerprints, value)
  local index = index_open(home, home .. INDEX_KEY)
  local new = 0
  for at = 1, #fingerprints, 8 do
    local fingerprint = fingerprints:sub(at, at + 7)
    local known = index_find(index, fingerprint)
    if not (known and is_weaker(value, known)) and index_put(index, fingerprint, value) then new = new + 1 end
  end
  index_close(index)
  return new
end

function calls.remove(fingerprints)
  local index = index_open(home, home .. INDEX_KEY)
  local gone = 0
  for at = 1, #fingerprints, 8 do
    if index_remove(index, fingerprints:sub(at, at + 7)) then gone = gone + 1 end
  end
  index_close(index)
  return gone
end

function calls.find(fingerprint)
  return index_find(index_open(home, home .. INDEX_KEY), fingerprint)
end

-- ARGV: fingerprints, now in seconds. Returns '1' for each with an entry that has not expired and '0' for each other, in order.
function calls.probe(fingerprints, now)
  local index = index_open(home, home .. INDEX_KEY)
  local holding = {}
  for at = 1, #fingerprints, 8 do
    local entry = index_find(index, fingerprints:sub(at, at + 7))
    local expires = entry and struct.unpack('<I4', entry, 6)
    holding[#holding + 1] = entry and (expires == 0 or expires > tonumber(now)) and '1' or '0'
  end
  return table.concat(holding)
end

local call = calls[ARGV[1]]
return call(unpack(ARGV, 2))
