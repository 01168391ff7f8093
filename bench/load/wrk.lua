-- What wrk sends: `hit PATH`, `random KEYS`, `walk KEYS FROM`, `bulk-walk KEYS FROM KEYS_PER_REQUEST`, `bulk KEYS`,
-- `set KEYS VALUE_BYTES`. What it saw, as one line of JSON.
local kind, first, second, third
local count = 0

function init(args)
  kind, first, second, third = args[1], args[2], args[3], args[4]
  math.randomseed(os.time())
end

local function get(path)
  return "GET " .. path .. " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
end

local function post(path, body)
  return "POST " .. path .. " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
    .. #body .. "\r\n\r\n" .. body
end

-- The next key of a walk through all keys, in no order that an index would like; the stride and the number of keys have
-- no common factor.
local function walked()
  local key = string.format("key:%d", ((second + count) * 7919) % first + 1)
  count = count + 1
  return key
end

local function bulk(keys, key_of)
  local names = {}
  for number = 1, keys do names[number] = '"' .. key_of(number) .. '"' end
  return post("/v1/entries:get", '{"keys":[' .. table.concat(names, ",") .. "]}")
end

function request()
  if kind == "hit" then
    fixed = fixed or get(first)
    return fixed
  elseif kind == "random" then
    return get("/cache/get?key=key:" .. math.random(first))
  elseif kind == "walk" then
    return get("/cache/get?key=" .. walked())
  elseif kind == "bulk-walk" then
    return bulk(tonumber(third), walked)
  elseif kind == "bulk" then
    fixed = fixed or bulk(tonumber(first), function(number) return "key:" .. number end)
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
