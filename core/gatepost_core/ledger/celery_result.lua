-- The result of an operation in the JSON form of Celery's result backend, so that Celery's clients in any language can wait for it.
-- Python puts constants in front: `META` of redis/keys.py, `ERROR_OF` (the error class of each reason) and `ERRORS` (their module).

local function quoted(text)
  return (text or '') ~= '' and cjson.encode(text) or 'null'
end

-- Returns a time in milliseconds since the epoch as ISO 8601. A year begins in March here, so that the leap day is its last.
-- Source: https://howardhinnant.github.io/date_algorithms.html (civil_from_days).
local function iso_time(ms)
  local seconds = math.floor(ms / 1000)
  local days = math.floor(seconds / 86400) + 719468
  local era = math.floor(days / 146097)
  local of_era = days - era * 146097
  local year = math.floor(
    (of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524) - math.floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local month = math.floor((5 * of_year + 2) / 153)
  local day = of_year - math.floor((153 * month + 2) / 5) + 1
  year, month = year + era * 400 + (month < 10 and 0 or 1), month < 10 and month + 3 or month - 9
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, day, math.floor(seconds / 3600) % 24,
    math.floor(seconds / 60) % 60, seconds % 60, ms % 1000)
end

-- Celery's clients take absent `traceback` and `children` for null. Every operation has such a result, so short ones save memory.
local function celery_form(id, status, result, more, ended)
  return string.format('{"status":"%s","result":%s,%s"date_done":"%s","task_id":%s}', status, result, more, iso_time(ended),
    quoted(id))
end

local function celery_error(name, arguments)
  return string.format('{"exc_type":"%s","exc_message":[%s],"exc_module":"%s"}', name, arguments, ERRORS)
end

-- Returns the result of an operation that has ended. `sealed` is a login's token set, or a message that Auth0 gave with a refusal.
local function celery_result(id, state, reason, detail, sealed, ended)
  if state == ACCEPTED then return celery_form(id, 'SUCCESS', quoted(sealed), '', ended) end
  local name = state == UNKNOWN and OUTCOME_UNKNOWN or ERROR_OF[reason] or OPERATION_FAILED
  local arguments = quoted(id) .. ',' .. quoted(reason) .. ',' .. quoted(detail)
  local more = (sealed or '') ~= '' and '"sealed":' .. quoted(sealed) .. ',' or ''
  return celery_form(id, 'FAILURE', celery_error(name, arguments), more, ended)
end

-- Returns the sealed part of a stored result, or nil.
local function sealed_part(stored)
  if not stored then return nil end
  local read, document = pcall(cjson.decode, stored)
  if not read or type(document) ~= 'table' then return nil end
  local sealed = document.status == 'SUCCESS' and document.result or document.sealed
  return type(sealed) == 'string' and sealed or nil
end
