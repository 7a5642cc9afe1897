-- What wrk sends: one reservation after the other, each with an idempotency key of its own.
-- Arguments: token, prefix of product ids, number of the first product, how many products,
-- seed of the choice among them, prefix of the keys ("" for none).
-- The last line that it prints is one JSON object.

local before, between = "", ""
local first, count, keyed, sent = 0, 1, false, 0
local threads = {}

-- By status; read by `done` through the thread.
granted, refused, unavailable, other = 0, 0, 0, 0

local function body(number)
  return '{"productId":"' .. before .. string.format("%012x", number)
    .. '","quantity":1,"ttlSeconds":86400}'
end

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  local token, key_prefix = args[1], args[6] or ""
  before, first, count = args[2], tonumber(args[3]), tonumber(args[4])
  math.randomseed(tonumber(args[5]))
  keyed = key_prefix ~= ""
  local head = "POST " .. wrk.path .. " HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port
    .. "\r\nAuthorization: Bearer " .. token
    .. "\r\nContent-Type: application/json\r\nContent-Length: " .. #body(first)
  between = head .. (keyed and ("\r\nIdempotency-Key: " .. key_prefix) or "")
end

function request()
  sent = sent + 1
  local number = count == 1 and first or first + math.random(0, count - 1)
  return between .. (keyed and sent or "") .. "\r\n\r\n" .. body(number)
end

function response(status)
  if status == 200 then
    granted = granted + 1
  elseif status == 409 then
    refused = refused + 1
  elseif status == 503 then
    unavailable = unavailable + 1
  else
    other = other + 1
  end
end

function done(summary, latency, requests)
  local totals = { granted = 0, refused = 0, unavailable = 0, other = 0 }
  for _, thread in ipairs(threads) do
    for name, value in pairs(totals) do
      totals[name] = value + thread:get(name)
    end
  end
  local errors = summary.errors
  io.write(string.format(
    '{"seconds":%.6f,"granted":%d,"refused":%d,"unavailable":%d,"other":%d,"socket_errors":%d,'
      .. '"p50_ms":%.3f,"p99_ms":%.3f,"max_ms":%.3f}\n',
    summary.duration / 1e6, totals.granted, totals.refused, totals.unavailable, totals.other,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
