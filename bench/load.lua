-- What wrk sends: one reservation after the other, or one sale of three lines paid in cash, each
-- with an idempotency key of its own.
-- Arguments: token, prefix of product ids, number of the first product, how many products,
-- seed of the choice among them, prefix of the keys ("" for none); for sales also the prefix of
-- register ids, how many registers, and what is handed over.
-- The last line that it prints is one JSON object.

local before, between = "", ""
local registers, register_count, tendered
local first, count, keyed, sent = 0, 1, false, 0
local threads = {}

-- By status; read by `done` through the thread.
granted, refused, unavailable, other = 0, 0, 0, 0

local function product()
  return count == 1 and first or first + math.random(0, count - 1)
end

local function id(prefix, number)
  return '"' .. prefix .. string.format("%012x", number) .. '"'
end

local function reservation()
  return '{"productId":' .. id(before, product()) .. ',"quantity":1,"ttlSeconds":86400}'
end

-- Three products that differ, in any order; three of three are always the same.
local function sale()
  local one, two, three = product(), nil, nil
  repeat two = product() until two ~= one
  repeat three = product() until three ~= one and three ~= two
  local lines = {}
  for _, number in ipairs({ one, two, three }) do
    table.insert(lines, '{"productId":' .. id(before, number) .. ',"quantity":1}')
  end
  return '{"registerId":' .. id(registers, math.random(0, register_count - 1))
    .. ',"lines":[' .. table.concat(lines, ",")
    .. '],"payments":[{"method":"cash","amount":' .. tendered .. "}]}"
end

local function body()
  return registers and sale() or reservation()
end

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  local token, key_prefix = args[1], args[6] or ""
  before, first, count = args[2], tonumber(args[3]), tonumber(args[4])
  math.randomseed(tonumber(args[5]))
  registers, register_count, tendered = args[7], tonumber(args[8]), args[9]
  keyed = key_prefix ~= ""
  local head = "POST " .. wrk.path .. " HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port
    .. "\r\nAuthorization: Bearer " .. token
    .. "\r\nContent-Type: application/json\r\nContent-Length: " .. #body()
  between = head .. (keyed and ("\r\nIdempotency-Key: " .. key_prefix) or "")
end

function request()
  sent = sent + 1
  return between .. (keyed and sent or "") .. "\r\n\r\n" .. body()
end

function response(status)
  if status == 200 or status == 201 then
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
