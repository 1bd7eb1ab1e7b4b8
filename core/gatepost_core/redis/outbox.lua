-- Records events for webhooks in the step that makes the change, so that none is lost and none is invented. Scripts put this in front.

local MOST_EVENTS = 100000

-- Whether an endpoint subscribes to a type. Without endpoints, this is all that an event costs.
local function is_subscribed(type)
  return redis.call('SISMEMBER', WEBHOOK_TYPES, type) == 1
end

-- `data` has ids, counts, states and reasons, never a person.
local function record_event(type, data, at_ms)
  if not is_subscribed(type) then return false end
  redis.call('XADD', WEBHOOK_EVENTS, 'MAXLEN', '~', MOST_EVENTS, '*', 'v', 1, 'type', type, 'at', string.format('%d', at_ms), 'data',
    cjson.encode(data))
  return true
end

