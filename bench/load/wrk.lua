-- What wrk sends: `hit PATH`, `random KEYS`, `walk KEYS FROM`, `bulk KEYS`, `set KEYS VALUE_BYTES`. What it saw, as one line of JSON.
local kind, first, second
local count = 0

function init(args)
  kind, first, second = args[1], args[2], args[3]
  math.randomseed(os.time())
end

local function get(path)
  return "GET " .. path .. " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
end

local function post(path, body)
  return "POST " .. path .. " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
    .. #body .. "\r\n\r\n" .. body
end

local function bulk(keys)
  local names = {}
  for number = 1, keys do names[number] = '"key:' .. number .. '"' end
  return post("/v1/entries:get", '{"keys":[' .. table.concat(names, ",") .. "]}")
end

function request()
  if kind == "hit" then
    fixed = fixed or get(first)
    return fixed
  elseif kind == "random" then
    return get("/cache/get?key=key:" .. math.random(first))
  elseif kind == "walk" then
    -- Through all keys, in no order that an index would like; the stride and the number of keys have no common factor.
    local key = ((second + count) * 7919) % first + 1
    count = count + 1
    return get("/cache/get?key=key:" .. string.format("%d", key))
  elseif kind == "bulk" then
    fixed = fixed or bulk(tonumber(first))
    return fixed
  else
    value = value or string.rep("x", second)
    local body = '{"key":"key:' .. math.random(first) .. '","value":"' .. value .. '"}'
    return post("/cache/set", body)
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'wrk: {"requests":%d,"micros":%d,"failed":%d,"p50Micros":%d,"p99Micros":%d}\n',
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
