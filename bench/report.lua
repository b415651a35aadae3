-- For wrk: the request from WRK_METHOD, WRK_BODY, WRK_TOKEN and WRK_HEADERS ("name: value|name: value"), and the result as one JSON object.
wrk.method = os.getenv("WRK_METHOD") or "GET"
wrk.body = os.getenv("WRK_BODY")
if wrk.body then wrk.headers["Content-Type"] = "application/json" end
if os.getenv("WRK_TOKEN") then wrk.headers["Authorization"] = "Bearer " .. os.getenv("WRK_TOKEN") end
if os.getenv("WRK_CLOSE") then wrk.headers["Connection"] = "close" end
for name, value in (os.getenv("WRK_HEADERS") or ""):gmatch("([^:|]+): ([^|]+)") do wrk.headers[name] = value end

function done(summary, latency)
    local e = summary.errors
    io.write(string.format('{"requests":%d,"seconds":%.3f,"p50_us":%d,"p99_us":%d,"errors":%d}\n', summary.requests,
        summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
        e.connect + e.read + e.write + e.status + e.timeout))
end
