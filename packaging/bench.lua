-- Sends GET to the path given after `--`, each request with the next line of the file VALUES (when there is one) as its header
-- HEADER; prints one line of JSON at the end. With ONCE=1 each line is used once: when none is left, the thread stops and says
-- so in a line USED UP, upon which the caller interrupts wrk, which would otherwise sleep until its time is over.
local requests, at = {}, 0
local path, header, lines, last

function init(arguments)
  path, header = arguments[1] or "/", os.getenv("HEADER")
  local file = os.getenv("VALUES")
  if not file then
    requests[1] = wrk.format("GET", path)
    return
  end
  if os.getenv("ONCE") then
    lines = io.lines(file)
    return
  end
  for line in io.lines(file) do
    requests[#requests + 1] = wrk.format("GET", path, { [header] = line })
  end
end

local function once()
  local line = lines and lines()
  if line then
    last = wrk.format("GET", path, { [header] = line })
  elseif lines then
    lines = nil
    io.write("USED UP\n")
    io.flush()
    wrk.thread:stop()
  end
  return last
end

function request()
  if #requests == 0 then
    return once()
  end
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format('\nRESULT {"requests":%d,"us":%d,"bad":%d,"p50":%d,"p99":%d}\n', summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout, latency:percentile(50), latency:percentile(99)))
end
